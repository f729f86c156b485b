//! Why depmod itself must be run. None of these errors means that a module is bad.

/// A tree whose indexes cannot be told without running depmod.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A module is compressed in a way that is not read here, or is none.
    #[error("{path}: expected a module named .ko or .ko.gz")]
    Compression {
        /// The module's path.
        path: String,
    },
    /// A module does not inflate.
    #[error("{path}: it does not inflate: {source}")]
    Inflate {
        /// The module's path.
        path: String,
        /// What the inflater says.
        source: std::io::Error,
    },
    /// A module is not an ELF object as the kernel's build makes them.
    #[error("{path}: not a kernel module that is understood: {what}")]
    Elf {
        /// The module's path.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Something is larger than any kernel has it.
    #[error("{what} is larger than {most}")]
    TooLarge {
        /// What it is.
        what: String,
        /// The bound, in its own unit.
        most: usize,
    },
    /// A name or a value that depmod's indexes cannot hold: they are 7-bit ASCII.
    #[error("{text:?} in {place}: expected printable 7-bit ASCII")]
    Text {
        /// Where it is.
        place: String,
        /// What it is, as far as it is text.
        text: String,
    },
    /// Two modules have the same name; which counts depends on depmod's configuration and on the filesystem.
    #[error("two modules are called {0}")]
    Duplicate(String),
    /// `modules.order` leaves out more than one module; their order depends on depmod's sort.
    #[error("modules.order leaves out {0} modules")]
    NotOrdered(usize),
    /// Modules need each other in a circle, which depmod refuses.
    #[error("modules in a dependency cycle: {0}")]
    Cycle(String),
    /// A list of the kernel's build has a line that is not what the build writes.
    #[error("{list}: {line:?}, expected {expected}")]
    List {
        /// Its name.
        list: &'static str,
        /// The line.
        line: String,
        /// What there should be.
        expected: &'static str,
    },
}
