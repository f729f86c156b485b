//! The agent's command line. It is called by services, and by `hoopy` over ssh: the manuals are docs/secrets.md
//! and docs/agent.md.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use hoopyd::{backup, boot, enroll, outcome, process, serve, state, tpm, unlock};

/// What is given back is overwritten first, also by TLS and JSON: a key leaves no copy behind.
#[global_allocator]
static WIPED: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// What `hoopyd secrets` ends with where the owner has to unlock the machine first.
const LOCKED: u8 = 3;

const USAGE: &str = "usage: hoopyd secrets | status [--json] | unlock [NAME] [--identity | --key] | enroll [--forget] | raise | \
     state [--status] | backup [--plain] | restore | serve | connect";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    // Keys of volumes go through `serve` and `connect`; what is asked for as JSON is no secret.
    if !matches!(args.as_slice(), ["status", "--json"]) {
        process::keep_to_itself();
    }
    let root = Path::new("/");
    let result = match args.as_slice() {
        ["secrets"] => boot::secrets(root).map(|outcome| code(&outcome)),
        ["status"] => outcome::read(root).map(|outcome| {
            let _ = writeln!(io::stdout(), "{}", outcome::text(&outcome));
            // A machine that waits for its owner is well.
            u8::from(!outcome.failures.is_empty())
        }),
        ["status", "--json"] => serve::ask::status(root).map(|status| {
            let _ = io::stdout().write_all(&status);
            0
        }),
        ["serve"] => serve::serve(root).map(|()| 0),
        ["connect"] => serve::ask::connect(root, io::stdin(), &mut io::stdout()).map(|()| 0),
        ["unlock"] => unlock::all(root).map(|()| 0),
        ["unlock", "--identity"] => unlock::with_identity(root, std::io::stdin()).map(|()| 0),
        ["unlock", name, "--key"] => unlock::with_key(root, name, std::io::stdin()).map(|()| 0),
        ["enroll"] => enroll::enroll(root, std::io::stdin(), false).map(|()| 0),
        ["enroll", "--forget"] => enroll::enroll(root, std::io::stdin(), true).map(|()| 0),
        ["raise"] => tpm::raise(root).map(|raised| {
            if raised {
                let _ = writeln!(io::stdout(), "images of earlier epochs are shut out");
            }
            0
        }),
        ["state"] => state::at_boot(root).map(|result| {
            result.failures.iter().for_each(|failure| complain(&format!("hoopyd: {failure}")));
            match result.failures.is_empty() {
                true => 0,
                false if state::waits_for_owner(root, &result) => LOCKED,
                false => 1,
            }
        }),
        ["state", "--status"] => state::read(root).map(|result| {
            let _ = writeln!(io::stdout(), "{}", state::text(&result));
            u8::from(!result.failures.is_empty() && !state::waits_for_owner(root, &result))
        }),
        ["backup"] => backup::to_directory(root).map(|saved| {
            let _ = writeln!(io::stdout(), "{}", saved.path.display());
            for path in &saved.left_out {
                complain(&format!("hoopyd: left out: /{path}: something else is mounted there"));
            }
            0
        }),
        ["backup", "--plain"] => backup::to_owner(root, io::stdout()).map(|()| 0),
        ["restore"] => backup::restore(root, io::stdin()).map(|contents| {
            let _ = writeln!(io::stdout(), "{} entries, restored at the next boot", contents.entries);
            0
        }),
        _ => {
            complain(USAGE);
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&format!("hoopyd: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn code(outcome: &hoopy_boot::secrets::Outcome) -> u8 {
    use hoopy_boot::secrets::State;
    outcome.failures.iter().for_each(|failure| complain(&format!("hoopyd: {failure}")));
    match outcome.state {
        State::Open => 0,
        State::Locked => LOCKED,
        State::Failed => 1,
    }
}

/// Prints a line on standard error. Where that is closed, nothing can be said about it.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
