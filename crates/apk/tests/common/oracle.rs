//! The real apk, run through its own loader from an unpacked Alpine root.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Index, write_index};
use hoopy_apk::Dependency;
use hoopy_apk::solve::{Repository, Universe, solve};

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

/// What hoopy answers.
pub fn ours(indexes: &[Index], world: &[Dependency]) -> Answer {
    let repositories: Vec<Repository<'_>> = indexes
        .iter()
        .map(|index| Repository { records: &index.records, tag: index.tag.as_deref() })
        .collect();
    let universe = Universe::new(&repositories, ARCH).unwrap();
    ours_in(&universe, world)
}

pub fn ours_in(universe: &Universe<'_>, world: &[Dependency]) -> Answer {
    match solve(universe, world) {
        Ok(solution) => {
            let label = |choice: &hoopy_apk::solve::Choice<'_>| {
                format!("{}-{}", choice.record.name, choice.record.version)
            };
            Answer::Install(solution.install.iter().map(label).collect())
        }
        Err(error) => {
            let asked = error.asked();
            assert!(world.iter().any(|demand| asked == Some(&*demand.name)), "{asked:?} in {error}");
            Answer::Refused(error.to_string())
        }
    }
}

/// A real apk with an empty root to install into.
pub struct Oracle {
    alpine: PathBuf,
    work: tempfile::TempDir,
}

impl Oracle {
    /// The apk of the Alpine root that `HOOPY_APK_ROOT` names; without one says so and is `None`.
    pub fn find(test: &str) -> Option<Self> {
        let Some(alpine) = std::env::var_os("HOOPY_APK_ROOT").map(PathBuf::from) else {
            eprintln!("SKIPPED: {test}: HOOPY_APK_ROOT does not name an Alpine root with sbin/apk in it");
            return None;
        };
        let oracle = Self { alpine, work: tempfile::tempdir().unwrap() };
        let made = oracle.apk().args(["add", "--initdb"]).output().unwrap();
        assert!(made.status.success(), "apk --initdb: {}", String::from_utf8_lossy(&made.stderr));
        Some(oracle)
    }

    /// The bare program.
    pub fn program(&self) -> Command {
        let root = &self.alpine;
        let loaders = std::fs::read_dir(root.join("lib")).unwrap().map(|entry| entry.unwrap().path());
        let mut loaders = loaders.filter(|path| path.to_string_lossy().contains("ld-musl-"));
        let mut command = Command::new(loaders.next().expect("a musl loader in the Alpine root"));
        command.arg("--library-path").arg(format!("{0}/lib:{0}/usr/lib", root.display()));
        command.arg(root.join("sbin/apk"));
        command
    }

    fn apk(&self) -> Command {
        let mut command = self.program();
        command.arg("--root").arg(self.work.path().join("root"));
        command.args(["--arch", ARCH, "--allow-untrusted", "--no-cache", "--no-network"]);
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
        let mut command = self.apk();
        command.arg("--repositories-file").arg(self.repositories()).args(["add", "--simulate"]);
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

/// `a@edge (1.0)` to `a-1.0`.
fn label(what: &str) -> String {
    let (name, version) = what.split_once(" (").unwrap();
    let name = name.split('@').next().unwrap();
    format!("{name}-{}", version.trim_end_matches(')'))
}
