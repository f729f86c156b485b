//! `hoopy open`: the page of a machine, in the browser of this computer.
//!
//! Each connection of the browser becomes a `hoopyd connect` over the one connection of ssh. So nothing of the machine has
//! to be reachable, and its sshd need not allow forwarding.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use hoopy_base::terminal::harmless_line;
use hoopy_boot::secrets::AGENT;
use hoopy_ship::deploy::Ssh;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{agent, host};
use crate::args::{Global, OpenPage};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::{note, print};

/// Browsers open six to one host at once: enough for two and a few more.
const MAX_CONNECTIONS: usize = 16;

/// How often to check whether the machine is still there.
const LOOK: Duration = Duration::from_secs(1);

/// The exit status of `ssh` when ssh itself fails (ssh(1)).
const SSH_FAILED: i32 = 255;

/// What is shown of a page, and where.
pub struct Shown {
    /// Browsers have passkeys at `localhost`, and at no address.
    name: &'static str,
    path: &'static str,
    port: u16,
    browser: bool,
}

/// Where volumes are unlocked with passkeys.
pub const UNLOCKING: Shown = Shown { name: "localhost", path: "unlock/", port: 0, browser: true };

pub fn run(global: &Global, own: &OpenPage) -> Result<Exit> {
    let shown = Shown { name: "127.0.0.1", path: "", port: own.port, browser: !own.no_browser };
    show(global, own.host.as_deref(), &shown)
}

/// Shows the page until the connection to the machine is lost.
pub fn show(global: &Global, machine: Option<&str>, shown: &Shown) -> Result<Exit> {
    let host = host::find(machine, None, global)?;
    let ssh = Arc::new(Ssh::connect(&host.name, &super::ssh())?);
    let summary = match agent::status(&ssh)? {
        agent::Answer::Status(status) => harmless_line(&status.summary),
        agent::Answer::Unknown(reason) => {
            return Err(CommandError::failed(format!("{}: its page does not answer: {reason}", host.name)));
        }
        agent::Answer::NoAgent => {
            return Err(CommandError::failed(format!(
                "{} has no page: expected an image built with [monitor] in hoopy.toml, found one without",
                host.name
            ))
            .hint("add `[monitor]` to hoopy.toml, build, and deploy: docs/agent.md"));
        }
    };
    let listener = TcpListener::bind(("127.0.0.1", shown.port))
        .context(format!("cannot listen on port {} of this computer", shown.port))?;
    let port = listener.local_addr().context("cannot listen on this computer")?.port();
    let address = format!("http://{}:{port}/{}", shown.name, shown.path);
    print(format!("{address}\n"))?;
    if !global.quiet {
        note(format!("{}: {summary}", host.name));
    }
    if shown.browser {
        browse(&address, global.quiet);
    }
    serve(&listener, &ssh)
}

/// Starts the browser of this computer's desktop. It may stay for as long as the page is open, so nothing waits for it.
fn browse(address: &str, quiet: bool) {
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    let mut command = Command::new("xdg-open");
    command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    thread::spawn(move || {
        let started = desktop && command.status().is_ok_and(|status| status.success());
        if !started && !quiet {
            note("no browser could be started here: open the address by hand");
        }
    });
}

/// Passes connections on until the connection to the machine is lost.
fn serve(listener: &TcpListener, ssh: &Arc<Ssh>) -> Result<Exit> {
    let (lost, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let wait = Timespec::try_from(LOOK).unwrap_or_default();
    while !lost.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut fds, Some(&wait)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(CommandError::failed(format!("cannot wait for the browser: {error}"))),
        }
        let Ok((browser, _)) = listener.accept() else { continue };
        if count.load(Ordering::Relaxed) >= MAX_CONNECTIONS {
            continue;
        }
        let child = ssh.start(&format!("exec {AGENT} connect"))?;
        let (lost, count) = (lost.clone(), count.clone());
        count.fetch_add(1, Ordering::Relaxed);
        thread::spawn(move || {
            if pass(browser, child).unwrap_or_default() == Some(SSH_FAILED) {
                lost.store(true, Ordering::Relaxed);
            }
            count.fetch_sub(1, Ordering::Relaxed);
        });
    }
    Err(CommandError::failed(format!("the connection to {} is lost", ssh.host()))
        .hint("start `hoopy open` again once it is there"))
}

/// One connection, in both directions, to its end.
fn pass(browser: TcpStream, mut child: Child) -> io::Result<Option<i32>> {
    let (from, to) = (browser.try_clone()?, browser);
    let input = child.stdin.take();
    // It ends when the browser's half does, which is closed below at the latest.
    let forth = thread::spawn(move || input.map(|input| copy(from, input)));
    let back = child.stdout.take().map(|output| copy(output, &to));
    let gone = matches!(back, Some(Err(_)));
    if gone {
        let _ = child.kill();
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = forth.join();
    let status = child.wait()?;
    Ok(status.code().filter(|_| !gone))
}

/// Passes on what is there as soon as it is there. (`std::io::copy` between a socket and a pipe uses splice(2), which waits
/// for more.)
fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(buffer.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The same as the end: nothing more will come.
            Err(_) => return Ok(()),
        }
    }
}
