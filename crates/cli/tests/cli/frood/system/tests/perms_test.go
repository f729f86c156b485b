package tests

import (
	"os"
	"testing"
)

func TestScriptsAreExecutable(t *testing.T) {
	info, err := os.Stat("../root/etc/local.d/hello.start")
	if err != nil || info.Mode()&0o111 == 0 {
		t.Fatalf("hello.start: %v", err)
	}
}
