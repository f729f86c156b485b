//! What the tests share: a hermetic home, the mirror, the real apk, virtual machines.
