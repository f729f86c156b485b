//! Users and groups: what the machine has that its packages do not make, with the numbers it had.
//!
//! Files on the machine's disks belong to numbers. So accounts that packages make at install time, whose numbers depend
//! on the order in which they were installed, get back the numbers that they had.

use std::collections::BTreeMap;

use hoopy_base::shell::quoted;

use crate::report::TransferReport;

/// A line of passwd(5) or group(5), by its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    fields: Vec<String>,
}

impl Line {
    fn field(&self, n: usize) -> &str {
        self.fields.get(n).map_or("", String::as_str)
    }

    fn name(&self) -> &str {
        self.field(0)
    }

    fn number(&self, n: usize) -> Option<u32> {
        self.field(n).parse().ok()
    }

    /// As the file has it, with the password field as it is in a system with shadow passwords.
    fn text(&self) -> String {
        let mut fields = self.fields.clone();
        if let Some(password) = fields.get_mut(1) {
            *password = "x".to_owned();
        }
        fields.join(":")
    }
}

/// The users and groups of a machine.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    users: Vec<Line>,
    groups: Vec<Line>,
}

impl Accounts {
    /// Reads passwd(5) and group(5). What is no account is passed over, and said.
    pub fn parse(passwd: &str, group: &str, report: &mut TransferReport) -> Self {
        let mut lines = |file: &str, text: &str, count: usize| {
            let mut lines: Vec<Line> = Vec::new();
            for text in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
                let fields: Vec<String> = text.split(':').map(str::to_owned).collect();
                let line = Line { fields };
                let number = line.number(2).is_some() && (count < 7 || line.number(3).is_some());
                if line.fields.len() == count && number && is_name(line.name()) {
                    if lines.iter().all(|other| other.name() != line.name()) {
                        lines.push(line);
                    }
                } else {
                    let shown = quoted(line.name());
                    report.left(format!("{file}: line {shown}"), "it is not an account", "");
                }
            }
            lines
        };
        Self { users: lines("etc/passwd", passwd, 7), groups: lines("etc/group", group, 4) }
    }

    /// Whether there are no users at all: the source has no `etc/passwd`.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// The name of the user with this number.
    pub fn user(&self, id: u32) -> Option<&str> {
        self.users.iter().find(|line| line.number(2) == Some(id)).map(Line::name)
    }

    /// The name of the group with this number.
    pub fn group(&self, id: u32) -> Option<&str> {
        self.groups.iter().find(|line| line.number(2) == Some(id)).map(Line::name)
    }

    /// An owner as chown(1) takes it: by name where there is one.
    pub fn owner(&self, uid: u32, gid: u32) -> String {
        let user = self.user(uid).map_or_else(|| uid.to_string(), str::to_owned);
        let group = self.group(gid).map_or_else(|| gid.to_string(), str::to_owned);
        format!("{user}:{group}")
    }
}

/// A name that a shell, a password file and BusyBox take for one word.
fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    // Samba's accounts of machines end with a dollar; anywhere else a shell would take it for a variable.
    let plain = name.strip_suffix('$').unwrap_or(name);
    name.len() <= 64
        && plain.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && plain.chars().all(good)
}

/// The numbers that BusyBox' `adduser` and `addgroup` take.
const MAX_ADDED: u32 = 256_000;

/// Lines of a shell script that make the accounts of `source` where those of `packages` are. `whole`: what is missing was
/// removed.
pub fn script(
    source: &Accounts,
    packages: &Accounts,
    whole: bool,
    report: &mut TransferReport,
) -> Vec<String> {
    if source.is_empty() {
        return Vec::new();
    }
    let mut script = Vec::new();
    let (groups, users) =
        (renumbered(&source.groups, &packages.groups), renumbered(&source.users, &packages.users));
    renumber(&groups, &users, &mut script);
    let mut added = 0;
    for group in source.groups.iter().filter(|group| find(&packages.groups, group.name()).is_none()) {
        added += 1;
        script.push(add_group(group, packages));
    }
    for user in &source.users {
        match find(&packages.users, user.name()) {
            None => {
                added += 1;
                script.extend(add_user(user, source, packages));
            }
            // Those with another number have their line already.
            Some(there) if there.text() != user.text() && there.number(2) == user.number(2) => {
                script.push(replace("passwd", user));
            }
            Some(_) => {}
        }
    }
    members(source, packages, &mut script);
    removed(source, packages, whole, &mut script, report);
    if added > 0 {
        report.took("users and groups", format!("{added} added in setup.sh, with their numbers"));
    }
    script
}

fn find<'a>(lines: &'a [Line], name: &str) -> Option<&'a Line> {
    lines.iter().find(|line| line.name() == name)
}

/// Those of both whose number is another.
fn renumbered<'a>(source: &'a [Line], packages: &[Line]) -> Vec<&'a Line> {
    let other =
        |line: &&Line| find(packages, line.name()).is_some_and(|there| there.number(2) != line.number(2));
    source.iter().filter(other).collect()
}

/// Numbers may be swapped, so what belongs to whom is written down for all before any is changed. `chown` takes setuid
/// and setgid bits away, so modes are set again.
fn renumber(groups: &[&Line], users: &[&Line], script: &mut Vec<String>) {
    if groups.is_empty() && users.is_empty() {
        return;
    }
    script.push(
        "# Numbers that packages' accounts had on the machine: files on its disks belong to them.".to_owned(),
    );
    script.push("list=$(mktemp -d)".to_owned());
    let find = |kind: &str, name: &str| {
        format!(
            "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /mnt -prune -o -{kind} {name} \
             -exec stat -c '%a %n' {{}} + >\"$list\"/{kind}-{name}"
        )
    };
    script.extend(groups.iter().map(|group| find("group", group.name())));
    script.extend(users.iter().map(|user| find("user", user.name())));
    for group in groups {
        let id = group.number(2).unwrap_or_default();
        script
            .push(format!("sed -i 's/^\\({}:[^:]*\\):[0-9]*:/\\1:{id}:/' /etc/group", pattern(group.name())));
    }
    script.extend(users.iter().map(|user| replace("passwd", user)));
    let again = |kind: &str, command: &str, name: &str| {
        format!(
            "while read -r mode path; do {command} -h {name} \"$path\"; [ -L \"$path\" ] || chmod \"$mode\" \"$path\"; \
             done <\"$list\"/{kind}-{name}"
        )
    };
    script.extend(groups.iter().map(|group| again("group", "chgrp", group.name())));
    script.extend(users.iter().map(|user| again("user", "chown", user.name())));
    script.push("rm -r \"$list\"".to_owned());
}

/// A name as a basic regular expression.
fn pattern(name: &str) -> String {
    name.replace('.', "\\.").replace('$', "\\$")
}

/// Puts a line of the source in the place of the one that is there.
fn replace(file: &str, line: &Line) -> String {
    let text = line.text().replace('\\', "\\\\").replace('&', "\\&").replace('|', "\\|");
    format!("sed -i {} /etc/{file}", quoted(&format!("s|^{}:.*|{text}|", pattern(line.name()))))
}

fn add_group(group: &Line, packages: &Accounts) -> String {
    let id = group.number(2).unwrap_or_default();
    if id <= MAX_ADDED && packages.group(id).is_none() {
        format!("addgroup -g {id} {}", group.name())
    } else {
        // BusyBox' addgroup takes no number twice.
        format!("echo {} >>/etc/group", quoted(&format!("{}:x:{id}:", group.name())))
    }
}

fn add_user(user: &Line, source: &Accounts, packages: &Accounts) -> Vec<String> {
    let (uid, gid) = (user.number(2).unwrap_or_default(), user.number(3).unwrap_or_default());
    let group = source.group(gid).or_else(|| packages.group(gid));
    let twice = packages.user(uid).is_some() || source.user(uid) != Some(user.name());
    match group {
        Some(group) if uid <= MAX_ADDED && !twice => vec![format!(
            "adduser -D -H -u {uid} -G {group} -h {} -s {} -g {} {}",
            quoted(user.field(5)),
            quoted(user.field(6)),
            quoted(user.field(4)),
            user.name()
        )],
        _ => vec![
            format!("echo {} >>/etc/passwd", quoted(&user.text())),
            format!("echo {} >>/etc/shadow", quoted(&format!("{}:!::0:::::", user.name()))),
        ],
    }
}

/// Members of groups beside those whose first group it is.
fn members(source: &Accounts, packages: &Accounts, script: &mut Vec<String>) {
    let of = |line: &Line| -> Vec<String> {
        line.field(3).split(',').filter(|name| is_name(name)).map(str::to_owned).collect()
    };
    for group in &source.groups {
        let there = find(&packages.groups, group.name()).map(of).unwrap_or_default();
        for member in of(group).iter().filter(|member| !there.contains(member)) {
            if find(&source.users, member).is_some() || find(&packages.users, member).is_some() {
                script.push(format!("addgroup {member} {}", group.name()));
            }
        }
        for gone in there.iter().filter(|member| !of(group).contains(member)) {
            script.push(format!("delgroup {gone} {}", group.name()));
        }
    }
}

fn removed(
    source: &Accounts,
    packages: &Accounts,
    whole: bool,
    script: &mut Vec<String>,
    report: &mut TransferReport,
) {
    let gone = |theirs: &[Line], ours: &[Line]| -> Vec<String> {
        theirs.iter().map(Line::name).filter(|name| find(ours, name).is_none()).map(str::to_owned).collect()
    };
    let files = [
        ("passwd", "user", gone(&packages.users, &source.users)),
        ("group", "group", gone(&packages.groups, &source.groups)),
    ];
    for (file, what, names) in files {
        if names.is_empty() {
        } else if whole {
            script.extend(names.iter().map(|name| format!("sed -i '/^{}:/d' /etc/{file}", pattern(name))));
        } else {
            report.look(format!(
                "{what}s that packages make and the overlay's etc/{file} does not have: {}: they are in the image, as \
                 they were on the machine once its packages were installed",
                names.join(", ")
            ));
        }
    }
}

/// What shadow(5) says of passwords.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passwords {
    /// `NAME:HASH` lines.
    pub hashes: BTreeMap<String, String>,
    /// Who needs no password.
    pub empty: Vec<String>,
}

/// Reads shadow(5), and password fields of passwd(5).
pub fn passwords(shadow: &str, passwd: &str) -> Passwords {
    let mut found = Passwords::default();
    for line in shadow.lines().chain(passwd.lines()) {
        let mut fields = line.split(':');
        let (Some(name), Some(field)) = (fields.next(), fields.next()) else { continue };
        if !is_name(name) || found.hashes.contains_key(name) {
            continue;
        }
        match field {
            "" => found.empty.push(name.to_owned()),
            "x" => {}
            locked if locked.starts_with(['!', '*']) => {}
            hash => {
                found.hashes.insert(name.to_owned(), hash.to_owned());
            }
        }
    }
    found.empty.sort();
    found.empty.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(passwd: &str, group: &str) -> Accounts {
        Accounts::parse(passwd, group, &mut TransferReport::default())
    }

    #[test]
    fn users_keep_their_numbers_and_groups_their_members() {
        let packages = accounts("root:x:0:0:root:/root:/bin/sh\n", "root:x:0:root\nwheel:x:10:root\n");
        let source = accounts(
            "root:x:0:0:root:/root:/bin/bash\nme:x:1000:1000:It's me:/home/me:/bin/sh\n",
            "root:x:0:root\nwheel:x:10:root,me\nme:x:1000:\n",
        );
        let expected = [
            "addgroup -g 1000 me",
            "sed -i 's|^root:.*|root:x:0:0:root:/root:/bin/bash|' /etc/passwd",
            r"adduser -D -H -u 1000 -G me -h '/home/me' -s '/bin/sh' -g 'It'\''s me' me",
            "addgroup me wheel",
        ];
        assert_eq!(script(&source, &packages, false, &mut TransferReport::default()), expected);
    }

    #[test]
    fn a_name_that_a_shell_would_run_is_no_account() {
        let mut report = TransferReport::default();
        let found = Accounts::parse(
            "$(reboot):x:0:0::/:/bin/sh\n-f:x:1:1::/:\nok:x:2:2::/:\na$b:x:3:3::/:\npc$:x:4:4::/:\n",
            "",
            &mut report,
        );
        assert_eq!(found.users.len(), 2);
        assert_eq!(report.left.len(), 3);
    }

    #[test]
    fn locked_accounts_have_no_password_and_others_a_hash() {
        let found = passwords("root:$6$a$b:1::::::\nme:!:1::::::\nx::1::::::\n", "root:x:0:0::/:\n");
        assert_eq!(found.hashes.into_iter().collect::<Vec<_>>(), [("root".to_owned(), "$6$a$b".to_owned())]);
        assert_eq!(found.empty, ["x"]);
    }
}
