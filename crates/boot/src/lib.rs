//! What hoopy and the machine agree on: where images lie and how their boots are counted, the release file.
//! Nothing here builds or ships anything, so that programs on the machine can use it.

pub mod diskless;
pub mod drift;
pub mod extlinux;
pub mod layout;
pub mod monitor;
pub mod os_release;
pub mod pair;
pub mod pi;
pub mod release;
pub mod secrets;
pub mod shell;
pub mod signature_lists;
pub mod slots;
pub mod state;
pub mod status;
pub mod variables;
pub mod version;
