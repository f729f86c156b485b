//! Commands about a machine that runs.

use std::path::PathBuf;

use clap::{Args, ValueHint};

pub const STATUS: &str = "\
Example: hoopy status root@nas
         hoopy -C nas status --drift-within 0 --json

`drift` is the number of paths that the next reboot erases; `hoopy drift` lists them. Where it is not known, the reason \
is shown instead.

For a machine with `[monitor]` in its hoopy.toml, it also shows what the page shows: first whether something needs doing. \
With --json, that is `machine`, as docs/status.schema.json describes it. Ctrl-C ends --watch.";

pub const OPEN: &str = "\
Example: hoopy open root@nas
         hoopy -C nas open --no-browser

The page comes through the ssh connection: the machine needs no other open port, and sshd need not allow forwarding. \
While this runs, anyone who uses this computer can read the page. Ctrl-C ends it.";

pub const LOGS: &str = "\
Example: hoopy logs root@nas
         hoopy -C nas logs -f

Shows /var/log/messages where the machine has that file, else the output of logread. Ctrl-C ends -f.";

pub const DRIFT: &str = "\
Example: hoopy drift root@nas
         hoopy -C nas drift -p

Left out are logs, leases, files that each boot makes anew, and what hoopy.toml lists: [drift] ignore = \
[\"/var/lib/app\"]. The exit code is 0 either way, or with --exit-code 8 where something changed.

The image that the machine booted is read from images/ of the system; else what is needed of it is fetched from the \
machine and kept in the store.";

pub const PULL: &str = "\
Example: hoopy -C nas pull /etc/motd
         hoopy -C nas pull root@nas --all

An argument with a slash is a path, so HOST can be left out. Files go to root/ of the system, and modes that git does \
not keep to [modes] of hoopy.toml: review them with `git diff`, and commit.

The machine is not trusted. These are refused, and the exit code is 1 then: files that look secret (keys, password \
hashes, tokens), since git never forgets; links that lead out of root/ on this computer; setuid and setgid bits. \
--secrets, --outside-links and --setuid allow them. Files that git or hoopy would treat as their own (.git, .gitignore, \
hoopy.toml) are never pulled.";

/// Which machine.
#[derive(Debug, Args)]
pub struct Host {
    /// Machine, as ssh knows it: nas, root@10.0.0.2 [default: deploy.host in hoopy.toml]
    #[arg(value_hint = ValueHint::Hostname)]
    pub host: Option<String>,
    /// Where the machine has its EFI system partition mounted [default: it is searched for]
    #[arg(long, value_name = "DIR")]
    pub esp: Option<String>,
}

/// What to wait for after a reboot.
#[derive(Debug, Args)]
pub struct Reboot {
    /// Fail if the machine does not come back in this time
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub within: u64,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub host: Host,
    /// Time limit for counting drift, for which the machine reads all its files; 0 skips it
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(..=86400))]
    pub drift_within: u64,
    /// Print the status as JSON
    #[arg(long)]
    pub json: bool,
    /// Keep showing the status, without counting drift each time
    #[arg(long, short, conflicts_with = "json")]
    pub watch: bool,
}

/// Options of `open`.
#[derive(Debug, Args)]
pub struct OpenPage {
    /// Machine, as ssh knows it: nas, root@10.0.0.2 [default: deploy.host in hoopy.toml]
    #[arg(value_hint = ValueHint::Hostname)]
    pub host: Option<String>,
    /// Port of this computer to show the page on [default: a free one]
    #[arg(long, short, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Print the address, and start no browser
    #[arg(long)]
    pub no_browser: bool,
}

/// Options of `rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    pub host: Host,
    /// Return to the diskless Alpine Linux that the machine ran before hoopy, whatever images it has
    #[arg(long)]
    pub to_diskless: bool,
    /// Reboot the machine, and wait until it runs the previous image
    #[arg(long, conflicts_with = "dry_run")]
    pub reboot: bool,
    #[command(flatten)]
    pub wait: Reboot,
    /// Show what would be done, and change nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// Machine, as ssh knows it: nas, root@10.0.0.2 [default: deploy.host in hoopy.toml]
    #[arg(value_hint = ValueHint::Hostname)]
    pub host: Option<String>,
    /// Follow the log: print new lines as they come
    #[arg(long, short)]
    pub follow: bool,
    /// Show the last N lines [default: all, or 10 with --follow]
    #[arg(long, short = 'n', value_name = "N")]
    pub lines: Option<u32>,
}

/// Options of `drift`.
#[derive(Debug, Args)]
pub struct Drift {
    #[command(flatten)]
    pub host: Host,
    /// Compare with this image instead of the one that the machine booted
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub image: Option<PathBuf>,
    /// Show changed lines of text files
    #[arg(long, short)]
    pub patch: bool,
    /// Exit with 8 where something changed
    #[arg(long)]
    pub exit_code: bool,
    /// Print the changes as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `pull`.
#[derive(Debug, Args)]
pub struct Pull {
    #[command(flatten)]
    pub host: Host,
    /// Files, or directories with all that changed in them: /etc/motd. Without any, asks about each changed file
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Compare with this image instead of the one that the machine booted
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub image: Option<PathBuf>,
    /// Pull everything that changed
    #[arg(long)]
    pub all: bool,
    /// Pull files that look secret, too
    #[arg(long)]
    pub secrets: bool,
    /// Pull links that lead out of root/ on this computer, too, such as /srv/app/run
    #[arg(long)]
    pub outside_links: bool,
    /// Pull files and directories with the setuid or setgid bit, too
    #[arg(long)]
    pub setuid: bool,
    /// Print what became of each path as JSON
    #[arg(long)]
    pub json: bool,
}
