//! Users and groups: what the machine has that its packages do not make, with the numbers it had.
//!
//! Files on the machine's disks belong to numbers. So accounts that packages make at install time, whose numbers depend
//! on the order in which they were installed, get back the numbers that they had.

use std::collections::BTreeSet;

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

    /// The same with another number in field `n`.
    fn with_number(&self, n: usize, number: u32) -> Self {
        let mut line = self.clone();
        if let Some(field) = line.fields.get_mut(n) {
            *field = number.to_string();
        }
        line
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

    /// The same accounts, with these lines in the place of those with the same names: of groups, the numbers alone.
    fn with(&self, groups: &[&Line], users: &[&Line]) -> Self {
        let mut accounts = self.clone();
        for group in groups {
            let there = accounts.groups.iter_mut().find(|line| line.name() == group.name());
            if let (Some(there), Some(id)) = (there, group.number(2)) {
                *there = there.with_number(2, id);
            }
        }
        for user in users {
            if let Some(there) = accounts.users.iter_mut().find(|line| line.name() == user.name()) {
                *there = (*user).clone();
            }
        }
        accounts
    }

    /// Whether there are no users at all: the source has no `etc/passwd`.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// The shells of root and of people. Those of accounts of the system, such as `shutdown`, let nobody in.
    pub fn shells(&self) -> impl Iterator<Item = (&str, &str)> {
        let of_people = |line: &&Line| line.number(2).is_some_and(|id| id == 0 || id > *OF_SYSTEM.end());
        self.users.iter().filter(of_people).map(|line| (line.name(), line.field(6)))
    }

    /// Whether there is a user with this name.
    pub fn has_user(&self, name: &str) -> bool {
        find(&self.users, name).is_some()
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
pub fn is_name(name: &str) -> bool {
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
    // What a whole root does not have is removed below, and stands in the way of no number.
    let moved = if whole { Accounts::default() } else { moved(source, packages, report) };
    let groups =
        renumbered(&source.groups, &packages.groups).into_iter().chain(&moved.groups).collect::<Vec<_>>();
    let users =
        renumbered(&source.users, &packages.users).into_iter().chain(&moved.users).collect::<Vec<_>>();
    renumber(&groups, &users, &mut script);
    let packages = &packages.with(&groups, &users);
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
            Some(there) if there.text() != user.text() => {
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

/// The numbers that BusyBox gives to accounts of the system.
const OF_SYSTEM: std::ops::RangeInclusive<u32> = 100..=999;

/// The accounts that only packages have, with new numbers where `source` gives theirs to others.
fn moved(source: &Accounts, packages: &Accounts, report: &mut TransferReport) -> Accounts {
    let mut taken: BTreeSet<u32> = [&source.users, &source.groups, &packages.users, &packages.groups]
        .into_iter()
        .flatten()
        .filter_map(|line| line.number(2))
        .collect();
    let mut free = |what: &str, line: &Line, other: &Line| {
        let old = line.number(2)?;
        let Some(new) = OF_SYSTEM.into_iter().find(|id| !taken.contains(id)) else {
            report.look(format!(
                "{what}s {} and {} both have the number {old}: there is no other that is free",
                line.name(),
                other.name()
            ));
            return None;
        };
        taken.insert(new);
        report.look(format!(
            "{what} {} of a package has the number {new} in the image, since {old} is {}'s on the machine",
            line.name(),
            other.name()
        ));
        Some(line.with_number(2, new))
    };
    let mut only = |what: &str, theirs: &[Line], ours: &[Line]| -> Vec<Line> {
        let own = theirs.iter().filter(|line| find(ours, line.name()).is_none());
        // Who has the number 0 shares it with root on purpose.
        own.filter(|line| line.number(2) != Some(0))
            .filter_map(|line| {
                let other = ours.iter().find(|other| other.number(2) == line.number(2))?;
                free(what, line, other)
            })
            .collect()
    };
    let groups = only("group", &packages.groups, &source.groups);
    let mut users = only("user", &packages.users, &source.users);
    // Their first groups may have moved, or got the numbers that they had on the machine.
    for user in packages.users.iter().filter(|user| find(&source.users, user.name()).is_none()) {
        let Some(old) = user.number(3) else { continue };
        let name = packages.group(old).unwrap_or_default();
        let group = find(&groups, name).or_else(|| find(&source.groups, name));
        let Some(new) = group.and_then(|group| group.number(2)).filter(|new| *new != old) else { continue };
        match users.iter_mut().find(|moved| moved.name() == user.name()) {
            Some(moved) => *moved = moved.with_number(3, new),
            None => users.push(user.with_number(3, new)),
        }
    }
    Accounts { users, groups }
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
                "{what}s that packages make and the overlay's etc/{file} does not have: {}: they are in the image",
                names.join(", ")
            ));
        }
    }
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
    fn an_account_that_only_packages_have_is_moved_off_a_number_that_the_machine_gave_to_another() {
        let packages = accounts(
            "klogd:x:100:101:klogd:/dev/null:/sbin/nologin\nchrony:x:101:102::/:\nntp:x:123:102::/:\n",
            "klogd:x:101:klogd\nchrony:x:102:\n",
        );
        let source = accounts("chrony:x:100:101::/:\n", "chrony:x:101:\n");
        let mut report = TransferReport::default();
        let script = script(&source, &packages, false, &mut report).join("\n");
        for line in [
            "sed -i 's/^\\(chrony:[^:]*\\):[0-9]*:/\\1:101:/' /etc/group",
            "sed -i 's/^\\(klogd:[^:]*\\):[0-9]*:/\\1:103:/' /etc/group",
            "sed -i 's|^chrony:.*|chrony:x:100:101::/:|' /etc/passwd",
            "sed -i 's|^klogd:.*|klogd:x:104:103:klogd:/dev/null:/sbin/nologin|' /etc/passwd",
            "sed -i 's|^ntp:.*|ntp:x:123:101::/:|' /etc/passwd",
        ] {
            assert!(script.lines().any(|found| found == line), "{line}\n{script}");
        }
        let said = report.to_string();
        assert!(
            said.contains("user klogd of a package has the number 104 in the image, since 100 is chrony's"),
            "{said}"
        );
        assert!(!said.contains("as they were"), "{said}");
    }

    #[test]
    fn where_no_number_is_free_the_clash_is_named() {
        let packages = accounts("klogd:x:100:100::/:\n", "");
        let many: String = OF_SYSTEM.map(|id| format!("u{id}:x:{id}:100::/:\n")).collect();
        let mut report = TransferReport::default();
        let found = script(&accounts(&many, ""), &packages, false, &mut report);
        assert!(!found.iter().any(|line| line.contains("s|^klogd:")));
        assert!(report.to_string().contains("users klogd and u100 both have the number 100"), "{report}");
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
}
