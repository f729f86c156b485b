//! The real apk, run through its own loader from an unpacked Alpine root.
#![allow(clippy::print_stderr, reason = "tests say what they skip")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Index, write_index};
use hoopy_apk::Dependency;
use hoopy_apk::resolve::{Universe, solve};

pub const ARCH: &str = "aarch64";

/// How apk begins to say that it will not have a world.
const REFUSALS: [&str; 3] =
    ["unable to select packages", "is not a valid world dependency", "repository tag"];

/// What came out: `name-version` in order of installation, or that the world was refused.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum Answer {
    Install(Vec<String>),
    Refused(String),
}

impl Answer {
    /// Whether two answers agree; the words of a refusal are each one's own.
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Install(a), Self::Install(b)) => a == b,
            (Self::Refused(_), Self::Refused(_)) => true,
            _ => false,
        }
    }
}

/// As `expect` of a case holds it.
impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Install(packages) => packages.iter().try_for_each(|package| writeln!(f, "{package}")),
            Self::Refused(why) => writeln!(f, "refused:\n{why}"),
        }
    }
}

/// What hoopy answers.
pub fn ours(indexes: &[Index], world: &[Dependency]) -> Answer {
    ours_in(&universe(indexes), world)
}

pub fn universe(indexes: &[Index]) -> Universe<'_> {
    Universe::new(&indexes.iter().map(Index::repository).collect::<Vec<_>>(), ARCH).unwrap()
}

pub fn ours_in(universe: &Universe<'_>, world: &[Dependency]) -> Answer {
    match solve(universe, world) {
        Ok(solution) => {
            let label = |choice: &hoopy_apk::resolve::Choice<'_>| {
                format!("{}-{}", choice.record.name, choice.record.version)
            };
            Answer::Install(solution.install.iter().map(label).collect())
        }
        Err(error) => {
            // Not a difference to apk, but an explanation that could be better.
            if !world.iter().any(|demand| error.asked() == Some(&*demand.name)) {
                let world: Vec<String> = world.iter().map(ToString::to_string).collect();
                eprintln!("{world:?}: refused without naming the demand that began it: {error}");
            }
            Answer::Refused(error.to_string())
        }
    }
}

/// A real apk with an empty root to install into.
pub struct Oracle {
    loader: PathBuf,
    work: tempfile::TempDir,
}

impl Oracle {
    /// The apk of the Alpine root that `HOOPY_APK_ROOT` names; without one says so and is `None`.
    pub fn find(test: &str) -> Option<Self> {
        let Some(alpine) = std::env::var_os("HOOPY_APK_ROOT").map(PathBuf::from) else {
            hoopy_testkit::skip(format_args!(
                "{test}: HOOPY_APK_ROOT does not name an Alpine root with sbin/apk in it"
            ));
            return None;
        };
        // A process for each world: in memory it starts in less than half the time.
        let memory = Path::new("/dev/shm");
        let work = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
        let mut oracle = Self { loader: PathBuf::new(), work };
        for directory in ["lib", "usr/lib", "sbin"] {
            oracle.copy(&alpine, directory);
        }
        let made = oracle.apk().args(["add", "--initdb"]).output().unwrap();
        assert!(made.status.success(), "apk --initdb: {}", String::from_utf8_lossy(&made.stderr));
        Some(oracle)
    }

    /// Copies the program, its loader and libraries.
    fn copy(&mut self, alpine: &Path, directory: &str) {
        let to = self.work.path().join("apk").join(directory);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(alpine.join(directory)).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if (name.contains(".so") || name == "apk") && entry.path().is_file() {
                std::fs::copy(entry.path(), to.join(&name)).unwrap();
            }
            if name.contains("ld-musl-") {
                self.loader = to.join(name);
            }
        }
    }

    /// The bare program.
    pub fn program(&self) -> Command {
        let root = self.work.path().join("apk");
        let mut command = Command::new(&self.loader);
        command.arg("--library-path").arg(format!("{0}/lib:{0}/usr/lib", root.display()));
        command.arg(root.join("sbin/apk"));
        command
    }

    /// A directory that goes with the oracle.
    pub fn directory(&self) -> &Path {
        self.work.path()
    }

    fn apk(&self) -> Command {
        self.apk_in(&self.work.path().join("root"))
    }

    fn apk_in(&self, root: &Path) -> Command {
        let mut command = self.program();
        command.arg("--root").arg(root);
        command.args(["--arch", ARCH, "--allow-untrusted", "--no-cache", "--no-network"]);
        command
    }

    /// The program with another root and the repositories last published.
    pub fn apk_of(&self, root: &Path) -> Command {
        let mut command = self.apk_in(root);
        command.arg("--repositories-file").arg(self.repositories());
        command
    }

    /// Writes indexes and points apk at them.
    pub fn publish(&self, indexes: &[Index]) {
        let mut lines = String::new();
        for (number, index) in indexes.iter().enumerate() {
            let directory = self.work.path().join(format!("repository{number}"));
            std::fs::create_dir_all(directory.join(ARCH)).unwrap();
            write_index(&directory.join(ARCH).join("APKINDEX.tar.gz"), &index.records);
            let tag = index.tag.as_ref().map(|tag| format!("@{tag} ")).unwrap_or_default();
            lines += &format!("{tag}{}\n", directory.display());
        }
        std::fs::write(self.repositories(), lines).unwrap();
    }

    /// Points apk at a directory with `ARCH/APKINDEX.tar.gz`.
    pub fn publish_directory(&self, directory: &Path) {
        std::fs::write(self.repositories(), format!("{}\n", directory.display())).unwrap();
    }

    fn repositories(&self) -> PathBuf {
        self.work.path().join("repositories")
    }

    /// What apk answers.
    pub fn ask(&self, world: &[Dependency]) -> Answer {
        let mut command = self.apk_of(&self.work.path().join("root"));
        command.args(["add", "--simulate"]);
        command.args(world.iter().map(ToString::to_string));
        let output = command.output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() {
            let why = out + &String::from_utf8_lossy(&output.stderr);
            // Otherwise apk could not even start, and every refusal of ours would agree with it.
            assert!(REFUSALS.iter().any(|refusal| why.contains(refusal)), "apk fails otherwise: {why}");
            return Answer::Refused(why);
        }
        let lines = out.lines().filter_map(|line| line.split_once(") Installing "));
        Answer::Install(lines.map(|(_, what)| label(what)).collect())
    }
}

impl Oracle {
    /// The demands that apk says no package meets: `breaks: world[a>1]`.
    pub fn broken<'d>(&self, world: impl Iterator<Item = &'d Dependency>) -> HashSet<String> {
        let root = self.work.path().join("root");
        let words: Vec<String> = world.map(ToString::to_string).collect();
        // More than arguments have room for.
        std::fs::write(root.join("etc/apk/world"), words.join("\n")).unwrap();
        let output = self.apk_of(&root).args(["add", "--simulate"]).output().unwrap();
        let why = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.success(), !why.contains(REFUSALS[0]), "apk fails otherwise: {why}");
        why.lines()
            .filter_map(|line| line.trim().strip_prefix("breaks: world[")?.strip_suffix(']'))
            .map(str::to_owned)
            .collect()
    }
}

/// `a@edge (1.0)` to `a-1.0`.
fn label(what: &str) -> String {
    let (name, version) = what.split_once(" (").unwrap();
    let name = name.split('@').next().unwrap();
    format!("{name}-{}", version.trim_end_matches(')'))
}
