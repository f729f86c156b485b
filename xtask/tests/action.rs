//! The steps of `action.yml`, which are scripts: run here as the host of a workflow does, with a release that is packed as
//! one is, a repository with a pull request, and a server in place of the host's.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, channel};

use common::{ok, release};
use hoopy_testkit::{mirror, repository};

/// What a workflow's job has: a checkout, files for outputs and PATH, a home, and a directory for temporary files.
struct Job {
    dir: tempfile::TempDir,
}

impl Job {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["temp", "home", "checkout/nas/root/etc"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        for file in ["output", "path"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command in the checkout, with the PATH that earlier steps have made.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut path: Vec<String> = self.read("path").lines().map(str::to_owned).collect();
        path.push("/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".to_owned());
        let mut command = Command::new(program);
        command.current_dir(self.path("checkout")).env_clear().env("PATH", path.join(":"));
        command.env("HOME", self.path("home")).env("RUNNER_TEMP", self.path("temp"));
        command.env("GITHUB_OUTPUT", self.path("output")).env("GITHUB_PATH", self.path("path"));
        command.env("MIRROR", mirror().alpine).env("KEYS", mirror().keys).env("DIRECTORY", "nas");
        command
    }

    /// A step of the action.
    fn step(&self, name: &str) -> Command {
        self.command(repository().join("action").join(name))
    }

    fn git(&self, args: &[&str]) -> String {
        let mut git = self.command("git");
        for (role, value) in [("NAME", "t"), ("EMAIL", "t@example.org")] {
            git.env(format!("GIT_AUTHOR_{role}"), value).env(format!("GIT_COMMITTER_{role}"), value);
        }
        String::from_utf8(ok(git.args(args)).stdout).unwrap().trim().to_owned()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// What a step said for later ones.
    fn output(&self, name: &str) -> String {
        let text = self.read("output");
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no output {name}: {text}")).to_owned()
    }

    /// Installs the release of these tests, in the form in which the host has it.
    fn install(&self) -> Option<Output> {
        let download = self.path("releases/latest");
        fs::create_dir_all(&download).unwrap();
        std::os::unix::fs::symlink(release()?, download.join("download")).unwrap();
        let mut step = self.step("install.sh");
        step.env("HOOPY_VERSION", "latest").env("HOOPY_REPOSITORY", "o/hoopy");
        step.env("HOOPY_RELEASES", format!("file://{}", self.path("releases").display()));
        Some(step.output().unwrap())
    }

    /// A system with a lock, and a commit that changes a file of it. The first commit.
    fn pull_request(&self) -> String {
        let hello = repository().join("examples/hello");
        ok(Command::new("cp").arg("-r").arg(hello.join(".")).arg(self.path("checkout/nas")));
        for made in ["images", "hoopy.lock"] {
            let _ = fs::remove_dir_all(self.path("checkout/nas").join(made));
            let _ = fs::remove_file(self.path("checkout/nas").join(made));
        }
        let mut lock = self.command("hoopy");
        ok(lock
            .args(["lock", "nas", "--quiet", "--mirror"])
            .arg(mirror().alpine)
            .arg("--keys")
            .arg(mirror().keys));
        fs::write(self.path("checkout/.gitignore"), "images/\n").unwrap();
        self.git(&["init", "-q"]);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "one"]);
        let base = self.git(&["rev-parse", "HEAD"]);
        fs::write(self.path("checkout/nas/root/etc/motd"), "welcome to the pull request\n").unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "two"]);
        base
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_release_is_installed_and_its_system_built_and_compared() {
    let job = Job::new();
    let Some(installed) = job.install() else { return };
    assert!(installed.status.success(), "{}", text(&installed.stderr));
    assert!(text(&installed.stdout).contains("linux.tar.gz: OK\n"), "{}", text(&installed.stdout));
    let base = job.pull_request();

    let built = ok(&mut job.step("build.sh"));
    let image = job.output("image");
    assert!(job.path("checkout").join(&image).metadata().unwrap().len() > 1 << 20, "{}", text(&built.stdout));

    ok(job.step("diff.sh").env("BASE", &base));
    let difference = fs::read_to_string(job.output("difference")).unwrap();
    assert!(
        difference.contains("etc/motd") && difference.contains("+welcome to the pull request"),
        "{difference}"
    );
}

#[test]
#[ignore = "boots a machine: `cargo xtask prove` runs it"]
fn the_image_is_booted_and_tested() {
    let job = Job::new();
    if job.install().is_none() {
        return;
    }
    job.pull_request();
    ok(&mut job.step("build.sh"));
    let tested = ok(&mut job.step("test.sh"));
    assert!(text(&tested.stdout).contains("passed"), "{}", text(&tested.stdout));
}

#[test]
fn a_release_that_is_not_what_its_checksums_say_is_not_installed() {
    let job = Job::new();
    let Some(good) = release() else { return };
    let bad = job.path("releases/latest/download");
    fs::create_dir_all(&bad).unwrap();
    for entry in fs::read_dir(good).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), bad.join(entry.file_name())).unwrap();
        if entry.path().extension().is_some_and(|e| e == "gz") {
            let mut file = fs::File::options().append(true).open(bad.join(entry.file_name())).unwrap();
            file.write_all(b"more").unwrap();
        }
    }
    let mut step = job.step("install.sh");
    step.env("HOOPY_VERSION", "latest").env("HOOPY_REPOSITORY", "o/hoopy");
    step.env("HOOPY_RELEASES", format!("file://{}", job.path("releases").display()));
    let out = step.output().unwrap();
    assert!(!out.status.success());
    assert_eq!(job.read("path"), "", "{}", text(&out.stderr));
}

/// A request that the host's server got.
struct Request {
    line: String,
    authorization: String,
    body: serde_json::Value,
}

/// Answers each request with the next of these texts, and tells what was asked.
fn host(answers: Vec<String>) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            tell.send(serve(&stream, &answer)).unwrap();
        }
    });
    (address, told)
}

fn serve(mut stream: &TcpStream, answer: &str) -> Request {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        let of = |line: &&String| line.to_lowercase().starts_with(name);
        lines.iter().find(of).map_or(String::new(), |line| line[name.len()..].trim().to_owned())
    };
    let mut body = vec![0; header("content-length:").parse().unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let length = answer.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}")
        .unwrap();
    Request {
        line: lines[0].clone(),
        authorization: header("authorization:"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

fn comment(job: &Job, address: &str, difference: &Path) {
    let mut step = job.step("comment.sh");
    step.env("GITHUB_API_URL", address).env("GITHUB_REPOSITORY", "o/r").env("NUMBER", "7");
    ok(step.env("TOKEN", "a-token").env("DIFFERENCE", difference));
}

#[test]
fn a_first_run_comments_and_a_later_one_writes_its_comment_anew() {
    let job = Job::new();
    let difference = job.path("difference");
    fs::write(&difference, "up  musl 1 -> 2\n\"quotes\" and `ticks`\n").unwrap();
    let (address, told) = host(vec!["[]".to_owned(), "{}".to_owned()]);
    comment(&job, &address, &difference);
    let requests: Vec<Request> = told.iter().collect();
    assert_eq!(requests[0].line, "GET /repos/o/r/issues/7/comments?per_page=100&page=1 HTTP/1.1");
    assert_eq!(requests[1].line, "POST /repos/o/r/issues/7/comments HTTP/1.1");
    assert!(requests.iter().all(|request| request.authorization == "Bearer a-token"));
    let body = requests[1].body["body"].as_str().unwrap();
    assert_eq!(
        body,
        "<!-- hoopy diff: nas -->\n### hoopy: what changes in nas\n\n````diff\nup  musl 1 -> 2\n\"quotes\" and `ticks`\n\n\
         ````\n"
    );

    fs::write(&difference, "x".repeat(100_000)).unwrap();
    let others: Vec<_> = (0..99).map(|id| serde_json::json!({"id": id, "body": "mine"})).collect();
    let page =
        |last: serde_json::Value| serde_json::to_string(&[others.clone(), vec![last]].concat()).unwrap();
    let second = serde_json::json!([{"id": 500, "body": body}]).to_string();
    let answers = vec![page(serde_json::json!({"id": 99, "body": "other"})), second, "{}".to_owned()];
    let (address, told) = host(answers);
    comment(&job, &address, &difference);
    let requests: Vec<Request> = told.iter().collect();
    assert_eq!(requests[2].line, "PATCH /repos/o/r/issues/comments/500 HTTP/1.1");
    let body = requests[2].body["body"].as_str().unwrap();
    assert!(body.len() < 65_536 && body.ends_with("\n[...]\n````\n"), "{}", body.len());
}

#[test]
fn a_base_without_the_system_is_said_and_is_no_failure() {
    let job = Job::new();
    if job.install().is_none() {
        return;
    }
    fs::write(job.path("checkout/README"), "nothing yet\n").unwrap();
    job.git(&["init", "-q"]);
    job.git(&["add", "README"]);
    job.git(&["commit", "-q", "-m", "zero"]);
    let base = job.git(&["rev-parse", "HEAD"]);
    fs::write(job.path("checkout/nas/packages"), "alpine-base\n").unwrap();
    job.git(&["add", "-A"]);
    job.git(&["commit", "-q", "-m", "one"]);
    ok(job.step("diff.sh").env("BASE", &base));
    assert!(job.output("difference").ends_with("hoopy-difference.txt"));
}
