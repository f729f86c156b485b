//! The SSH servers that a machine starts, and whether they take passwords.

use super::CheckError;
use super::{View, lines};

/// A server that takes passwords.
pub(super) struct Server {
    /// The service.
    pub(super) name: &'static str,
    /// Whether it takes that of root.
    root: bool,
    /// What makes it take none.
    pub(super) fix: &'static str,
}

impl Server {
    /// Whether it takes the password of `user`; nobody knows whose it is where there is no name.
    pub(super) fn takes(&self, user: Option<&str>) -> bool {
        self.root || user != Some("root")
    }
}

const DROPBEAR: &str = "write DROPBEAR_OPTS=\"-s\" to root/etc/conf.d/dropbear, and log in with a key";
const OPENSSH: &str =
    "write `PasswordAuthentication no` to root/etc/ssh/sshd_config.d/10-keys.conf, and log in with a key";

/// Those that take passwords.
pub(super) fn enabled(view: &View<'_>) -> Result<Vec<Server>, CheckError> {
    let mut servers = Vec::new();
    if starts(view, "dropbear")
        && !view.setup_may_touch("DROPBEAR_OPTS")
        && !view.setup_may_touch("conf.d/dropbear")
    {
        let options = dropbear_options(&text(view, "etc/conf.d/dropbear")?);
        if !options.contains('s') {
            servers.push(Server { name: "dropbear", root: !options.contains(['g', 'w']), fix: DROPBEAR });
        }
    }
    if starts(view, "sshd") && !view.setup_may_touch("sshd_config") {
        let config = openssh_config(view)?;
        let says = |key: &str| config.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        let keys_only = says("authenticationmethods").is_some_and(|methods| methods.starts_with("publickey"));
        if says("passwordauthentication") != Some("no") && !keys_only {
            servers.push(Server { name: "sshd", root: says("permitrootlogin") == Some("yes"), fix: OPENSSH });
        }
    }
    Ok(servers)
}

/// Whether the machine starts the service: by a runlevel, or by what `setup.sh` has yet to do.
fn starts(view: &View<'_>, service: &str) -> bool {
    let in_level = |path: &[u8]| {
        let parts: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
        matches!(parts[..], [b"etc", b"runlevels", _, name] if name == service.as_bytes())
    };
    let own = view.own.iter().any(|own| in_level(own.path.as_bytes()));
    let in_image =
        || view.image.iter().any(|image| image.stack.tree.iter().any(|(path, ..)| in_level(path.as_bytes())));
    // Another lint tells of a service that nothing brings
    let script = format!("etc/init.d/{service}");
    let is_there = view.image.as_ref().is_none_or(|image| image.has(&script)) || view.own(&script).is_some();
    is_there && (own || in_image() || view.pending_setup().is_some_and(|setup| adds(&setup, service)))
}

/// Whether a script enables the service. It may be the argument of a function of the script's own that calls rc-update.
fn adds(script: &str, service: &str) -> bool {
    let calls = script.contains("rc-update");
    let names = |line: &str| {
        let line = line.trim_start();
        let mut words = line.split(|c: char| c.is_whitespace() || ";\"'".contains(c));
        !line.starts_with('#')
            && ["rc-update", "runlevel", "for"].iter().any(|start| line.starts_with(start))
            && words.any(|word| word == service)
    };
    calls && script.lines().any(names)
}

/// The text of a file of the image, the user's or a package's.
fn text(view: &View<'_>, path: &str) -> Result<Vec<u8>, CheckError> {
    if let Some(own) = view.own(path) {
        return Ok(own.text.clone());
    }
    Ok(view.packaged(path)?.map(|(_, text)| text).unwrap_or_default())
}

/// The letters of dropbear's options without arguments (dropbear(8)).
fn dropbear_options(conf: &[u8]) -> String {
    let value = lines(conf).filter_map(|(_, line)| {
        let value = line.trim_start().strip_prefix("DROPBEAR_OPTS=")?.to_owned();
        Some(value.trim_matches(['"', '\'']).to_owned())
    });
    // The last one counts
    let words = value.last().unwrap_or_default();
    let flags = words.split_whitespace().filter_map(|word| word.strip_prefix('-'));
    flags.filter(|flags| flags.bytes().all(|b| b"FEmwsgtjkaRBeqTVi".contains(&b))).collect()
}

/// Keys and values of sshd_config(5), in the order in which they count: the first value of a key does. Those of `Match`
/// blocks are for some logins only and are left out.
fn openssh_config(view: &View<'_>) -> Result<Vec<(String, String)>, CheckError> {
    let mut dropped: Vec<&super::Own> =
        view.own.iter().filter(|own| own.path.is_within(b"etc/ssh/sshd_config.d")).collect();
    dropped.sort_by(|a, b| a.path.cmp(&b.path));
    let dropped =
        dropped.into_iter().filter(|own| own.path.name().ends_with(b".conf")).map(|own| own.text.clone());
    let texts: Vec<Vec<u8>> = dropped.chain([text(view, "etc/ssh/sshd_config")?]).collect();
    Ok(texts.iter().flat_map(|text| settings(text)).collect())
}

fn settings(text: &[u8]) -> Vec<(String, String)> {
    let outside = lines(text).map(|(_, line)| line.trim().to_owned());
    let outside = outside.take_while(|line| !line.to_ascii_lowercase().starts_with("match "));
    let setting = |line: String| {
        let (key, value) = line.split_once(|c: char| c.is_whitespace() || c == '=')?;
        let value = value.trim_matches(|c: char| c.is_whitespace() || c == '=' || c == '"');
        (!key.starts_with('#')).then(|| (key.to_ascii_lowercase(), value.to_ascii_lowercase()))
    };
    outside.filter_map(setting).collect()
}
