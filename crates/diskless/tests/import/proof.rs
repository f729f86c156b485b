//! That nothing is lost but what the report names.

use hoopy_build::stack::Stack;
use hoopy_diskless::overlay::{Node, NodeKind, Overlay};
use hoopy_diskless::report::TransferReport;
use hoopy_store::Store;
use hoopy_store::layer::{Entry, EntryPath, Kind};

/// What `built` lacks of `overlay`, but for what `report` names.
pub fn lost(
    overlay: &Overlay,
    built: &Stack,
    store: &Store,
    report: &TransferReport,
    passwords: bool,
) -> Vec<String> {
    let mut lost = Vec::new();
    for (path, node) in &overlay.nodes {
        let text = path.to_string();
        if is_named(&text, report) || is_elsewhere(&text) || is_made_certificate(&text, node) {
            continue;
        }
        match built.tree.through_links(path).and_then(|path| built.tree.get(&path)) {
            None => lost.push(format!("{text} is not there")),
            Some(there) => lost.extend(differs(&text, node, there, built, store, report)),
        }
    }
    lost.extend(accounts(overlay, built, store));
    lost.extend(services(overlay, built, report));
    if passwords {
        lost.extend(shadow(overlay, built, store, report));
    }
    lost
}

fn is_named(path: &str, report: &TransferReport) -> bool {
    let within =
        |what: &str| path.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    report.left.iter().any(|left| within(&left.what))
        || report.refused_secrets().any(|secret| within(&secret.path))
}

/// What became something else, and is looked at by itself.
fn is_elsewhere(path: &str) -> bool {
    const ELSEWHERE: [&str; 10] = [
        "etc/passwd",
        "etc/group",
        "etc/shadow",
        "etc/runlevels",
        "etc/.default_boot_services",
        "etc/apk/world",
        "etc/apk/repositories",
        "etc/apk/arch",
        "etc/apk/keys",
        "etc/lbu",
    ];
    let of = |dir: &&str| {
        path.strip_prefix(*dir).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '-']))
    };
    ELSEWHERE.iter().any(of) || path == "etc/mtab"
}

/// What update-ca-certificates(8) makes of certificates.
fn is_made_certificate(path: &str, node: &Node) -> bool {
    let Some(name) = path.strip_prefix("etc/ssl/certs/") else { return false };
    let target = match &node.kind {
        NodeKind::Symlink(target) => String::from_utf8_lossy(target).into_owned(),
        _ => String::new(),
    };
    let made = |name: &str| name == "ca-certificates.crt" || name.starts_with("ca-cert-");
    made(name) || made(&target) || target.contains("share/ca-certificates/")
}

fn differs(
    path: &str,
    node: &Node,
    there: &Entry,
    built: &Stack,
    store: &Store,
    report: &TransferReport,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |what: String| found.push(format!("{path}: {what}"));
    match (&node.kind, &there.kind) {
        (NodeKind::Dir, Kind::Dir { .. }) | (NodeKind::Dir, Kind::Symlink(_)) => {}
        (NodeKind::Symlink(target), Kind::Symlink(own)) if target == own => {}
        (NodeKind::File(content), Kind::File { .. } | Kind::Hardlink(_)) => {
            let own = built.read(&there.path, store).unwrap().unwrap_or_default();
            if *own != *content.read().unwrap() {
                say("another content".to_owned());
            }
        }
        (_, kind) => say(format!("expected {:?}, found {kind:?}", node.kind)),
    }
    if matches!(there.kind, Kind::Symlink(_)) {
        return found;
    }
    if node.mode != there.mode {
        say(format!("mode {:o} became {:o}", node.mode, there.mode));
    }
    let owner_named = report.left.iter().any(|left| left.what == format!("the owner of {path}"));
    if (node.uid, node.gid) != (there.user.id, there.group.id) && !owner_named {
        say(format!("{}:{} became {}:{}", node.uid, node.gid, there.user.id, there.group.id));
    }
    found
}

fn text(built: &Stack, store: &Store, path: &str) -> String {
    let bytes = built.read(&EntryPath::new(path).unwrap(), store).unwrap().unwrap_or_default();
    String::from_utf8(bytes).unwrap()
}

fn is_account(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Each account with its numbers, home and shell; each group with its members.
fn accounts(overlay: &Overlay, built: &Stack, store: &Store) -> Vec<String> {
    let mut lost = Vec::new();
    let good = |line: &str, fields: usize| {
        line.split(':').count() == fields && line.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
    };
    let users = text(built, store, "etc/passwd");
    for line in overlay.text("etc/passwd").unwrap().lines().filter(|line| good(line, 7)) {
        let mut fields: Vec<&str> = line.split(':').collect();
        fields[1] = "x";
        if !users.lines().any(|own| own == fields.join(":")) {
            lost.push(format!("user {line}, found in\n{users}"));
        }
    }
    let groups = text(built, store, "etc/group");
    lost.extend(twice(&users, &overlay.text("etc/passwd").unwrap()));
    lost.extend(twice(&groups, &overlay.text("etc/group").unwrap()));
    for line in overlay.text("etc/group").unwrap().lines().filter(|line| good(line, 4)) {
        let fields: Vec<&str> = line.split(':').collect();
        let own =
            groups.lines().map(|own| own.split(':').collect::<Vec<_>>()).find(|own| own[0] == fields[0]);
        // Whose first group it is, is in it, whether it says so or not.
        let first = |name: &str| {
            users.lines().any(|user| {
                let user: Vec<&str> = user.split(':').collect();
                user[0] == name && user[3] == fields[2]
            })
        };
        let members = |text: &str| {
            let mut members: Vec<String> =
                text.split(',').filter(|m| is_account(m) && !first(m)).map(str::to_owned).collect();
            members.sort();
            members
        };
        if !own.is_some_and(|own| own[2] == fields[2] && members(own[3]) == members(fields[3])) {
            lost.push(format!("group {line}, found in\n{groups}"));
        }
    }
    lost
}

/// Numbers that two accounts of the image have, and that were not given twice on the machine.
fn twice(built: &str, overlay: &str) -> Vec<String> {
    let number = |line: &str| line.split(':').nth(2).map(str::to_owned);
    let count = |text: &str, id: &Option<String>| text.lines().filter(|line| number(line) == *id).count();
    let twice = |line: &&str| count(built, &number(line)) > count(overlay, &number(line)).max(1);
    built.lines().filter(twice).map(|line| format!("a number of its own: {line}")).collect()
}

fn services(overlay: &Overlay, built: &Stack, report: &TransferReport) -> Vec<String> {
    let links = overlay.below("etc/runlevels").filter(|(_, node)| matches!(node.kind, NodeKind::Symlink(_)));
    let levels = overlay.below("etc/runlevels").filter(|(_, node)| matches!(node.kind, NodeKind::Dir));
    let gone = levels.filter(|(path, _)| built.tree.get(path).is_none());
    let mut lost: Vec<String> = gone.map(|(path, _)| format!("runlevel {path}")).collect();
    for (path, _) in links {
        let service = String::from_utf8_lossy(path.name()).into_owned();
        let named = report.left.iter().any(|left| {
            left.what == format!("service {service}")
                || left.what.starts_with(&format!("service {service} "))
                || left.what.contains(&path.to_string())
        });
        if !named && built.tree.get(path).is_none() {
            lost.push(format!("service {path}"));
        }
    }
    lost
}

/// Each hash of an account that is there; and that no account is open.
fn shadow(overlay: &Overlay, built: &Stack, store: &Store, report: &TransferReport) -> Vec<String> {
    let own = text(built, store, "etc/shadow");
    let hash = |line: &str| line.split(':').take(2).map(str::to_owned).collect::<Vec<_>>();
    let with_hash = |line: &&str| line.split(':').nth(1).is_some_and(|field| field.starts_with('$'));
    let named = |line: &str| {
        let name = line.split(':').next().unwrap_or_default();
        let names = report.left.iter().filter_map(|left| left.what.strip_prefix("the passwords of "));
        names.flat_map(|names| names.split(", ")).any(|other| other == name)
    };
    let overlay = overlay.text("etc/shadow").unwrap();
    let lost = overlay
        .lines()
        .filter(with_hash)
        .filter(|line| !named(line) && !own.lines().any(|there| hash(there) == hash(line)));
    let open = own.lines().filter(|line| line.split(':').nth(1) == Some(""));
    lost.map(|line| format!("password {line}, found in\n{own}"))
        .chain(open.map(|line| format!("an account that is open: {line}")))
        .collect()
}
