#!/usr/bin/env bash
# Installs a release of hoopy and what booting images needs, where they are not there.
# Reads HOOPY_VERSION (0.1.0, or latest), HOOPY_REPOSITORY (OWNER/NAME), and HOOPY_RELEASES, another address that has the
# releases.
set -euo pipefail

main() {
    if ! command -v hoopy >/dev/null; then
        install_release
    fi
    if ! command -v "qemu-system-$(uname -m)" >/dev/null && command -v apt-get >/dev/null; then
        install_machines
    fi
    # It goes on without a virtual machine: a later step says what it lacks.
    hoopy doctor || true
}

install_release() {
    local releases=${HOOPY_RELEASES:-"$GITHUB_SERVER_URL/$HOOPY_REPOSITORY/releases"}
    local from to arch
    arch=$(uname -m)
    case $HOOPY_VERSION in
        latest) from=$releases/latest/download ;;
        *) from=$releases/download/v${HOOPY_VERSION#v} ;;
    esac
    to=$RUNNER_TEMP/hoopy
    mkdir -p "$to"
    cd "$to"
    fetch "$from/SHA256SUMS" SHA256SUMS
    local file
    file=$(awk -v arch="-$arch-linux.tar.gz" 'index($2, arch) { print $2; exit }' SHA256SUMS)
    if [ -z "$file" ]; then
        echo "::error::$from has no hoopy for $arch: expected a file that ends in -$arch-linux.tar.gz"
        exit 1
    fi
    fetch "$from/$file" "$file"
    sha256sum --check --strict --ignore-missing SHA256SUMS
    tar -xzf "$file" --strip-components=1
    export PATH="$to/bin:$PATH"
    echo "$to/bin" >>"$GITHUB_PATH"
}

fetch() {
    # A file too, for mirrors of releases and for tests.
    curl --proto '=https,file' --fail --silent --show-error --location --retry 3 --output "$2" "$1"
}

install_machines() {
    local packages
    case $(uname -m) in
        aarch64) packages="qemu-system-arm qemu-efi-aarch64" ;;
        *) packages="qemu-system-x86 ovmf" ;;
    esac
    sudo apt-get update -q
    # shellcheck disable=SC2086 # several packages
    sudo apt-get install -q -y --no-install-recommends $packages ipxe-qemu uidmap
}

main
