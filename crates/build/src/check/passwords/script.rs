//! Which lines of a shell script set passwords: `chpasswd`, `passwd`, `usermod -p`, `useradd -p`.

use super::{Password, Place};

/// The passwords that `script` sets, each with its line.
pub(super) fn passwords(script: &str) -> Vec<Password> {
    let lines: Vec<&str> = script.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let line = line.trim_start();
        if line.starts_with('#') {
            continue;
        }
        let words = words(line);
        if let Some(at) = position(&words, "chpasswd") {
            let rest = lines.get(index + 1..).unwrap_or_default();
            found.extend(of_chpasswd(line, &words, at, rest, index + 1));
        } else if let Some(at) = position(&words, "passwd") {
            found.extend(of_passwd(words.get(at + 1..).unwrap_or_default(), index + 1));
        } else if let Some(at) = position(&words, "usermod").or_else(|| position(&words, "useradd")) {
            found.extend(of_usermod(words.get(at + 1..).unwrap_or_default(), index + 1));
        }
    }
    found
}

/// The words of a line without quotes, and each `|`, `;`, `&` and parenthesis as a word.
fn words(line: &str) -> Vec<String> {
    let mut spaced = String::new();
    for c in line.chars() {
        match c {
            '|' | ';' | '&' | '(' | ')' => spaced.extend([' ', c, ' ']),
            '"' | '\'' => spaced.push(' '),
            c => spaced.push(c),
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// Where the command `name` stands: with or without its directory, and not as a part of a path or an argument.
fn position(words: &[String], name: &str) -> Option<usize> {
    let is_it = |word: &str| {
        let dir = word.strip_suffix(name);
        dir.is_some_and(|dir| matches!(dir, "" | "/bin/" | "/sbin/" | "/usr/bin/" | "/usr/sbin/"))
    };
    let begins = |at: usize| match at.checked_sub(1).and_then(|before| words.get(before)) {
        None => true,
        Some(word) => {
            matches!(
                &**word,
                "|" | ";" | "&" | "(" | "then" | "else" | "do" | "!" | "busybox" | "exec" | "if"
            )
        }
    };
    (0..words.len()).find(|at| begins(*at) && words.get(*at).is_some_and(|word| is_it(word)))
}

/// `NAME:PASSWORD` before it in a pipe, or in a here-document behind it.
fn of_chpasswd(line: &str, words: &[String], at: usize, rest: &[&str], number: usize) -> Vec<Password> {
    let options = words.get(at + 1..).unwrap_or_default().iter().take_while(|word| !is_operator(word));
    let hashed = options
        .into_iter()
        .any(|o| o == "--encrypted" || (o.starts_with('-') && !o.starts_with("--") && o.contains('e')));
    let one = |text: &str, number: usize| {
        let (user, password) = text.split_once(':')?;
        let is_name =
            !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        let locked = password.is_empty() || password.starts_with(['*', '!']);
        // What a variable holds is not written here
        let clear = !hashed && !password.starts_with('$');
        let user = Some(user.to_owned()).filter(|_| is_name);
        Some((!locked).then_some(Password { user, clear, place: Place::Setup(number) }))
    };
    if let Some((_, end)) = line.split_once("<<") {
        let end = end.trim_start_matches('-').trim().trim_matches(['\'', '"']);
        let end = end.split_whitespace().next().unwrap_or_default();
        let body = rest.iter().take_while(|line| line.trim() != end).enumerate();
        return body.filter_map(|(n, line)| one(line.trim(), number + 1 + n)).flatten().collect();
    }
    let before: Vec<Option<Password>> =
        words.get(..at).unwrap_or_default().iter().filter_map(|word| one(word, number)).collect();
    match before.is_empty() {
        // From a file or a function: somebody's
        true => vec![Password { user: None, clear: false, place: Place::Setup(number) }],
        false => before.into_iter().flatten().collect(),
    }
}

/// `passwd [NAME]`, which reads the password. To lock, unlock or delete sets none.
fn of_passwd(arguments: &[String], number: usize) -> Option<Password> {
    let mut own = arguments.iter().take_while(|word| !is_operator(word));
    let mut user = "root".to_owned();
    let sets = own.by_ref().all(|word| match word.strip_prefix('-') {
        Some(option) => {
            !option.trim_start_matches('-').starts_with(['l', 'u', 'd', 'e', 'S', 'n', 'x', 'w', 'i'])
        }
        None => {
            let redirects = word.starts_with(['<', '>']);
            if !redirects {
                user.clone_from(word);
            }
            true
        }
    });
    let user = Some(user).filter(|user| !user.starts_with('$'));
    sets.then_some(Password { user, clear: false, place: Place::Setup(number) })
}

/// `usermod -p HASH NAME`.
fn of_usermod(arguments: &[String], number: usize) -> Option<Password> {
    let own: Vec<&String> = arguments.iter().take_while(|word| !is_operator(word)).collect();
    let at = own.iter().position(|word| matches!(&***word, "-p" | "--password"))?;
    let hash = own.get(at + 1)?;
    let user = own.last().filter(|user| !user.starts_with('$')).map(|user| (*user).clone());
    let locked = hash.starts_with(['*', '!']);
    (!locked).then_some(Password { user, clear: false, place: Place::Setup(number) })
}

fn is_operator(word: &str) -> bool {
    matches!(word, "|" | ";" | "&" | "(" | ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(script: &str) -> Vec<String> {
        let one = |password: &Password| {
            let Place::Setup(line) = password.place else { return String::new() };
            let user = password.user.as_deref().unwrap_or("?");
            format!("{line} {user} {}", if password.clear { "clear" } else { "hash" })
        };
        passwords(script).iter().map(one).collect()
    }

    #[test]
    fn finds_what_sets_a_password() {
        assert_eq!(found("set -e\necho root:hoopy | chpasswd\n"), ["2 root clear"]);
        assert_eq!(found("echo 'root:$6$a$b' | chpasswd -e"), ["1 root hash"]);
        assert_eq!(found("echo \"ann:$PASSWORD\" | /usr/sbin/chpasswd"), ["1 ann hash"]);
        assert_eq!(found("chpasswd <<EOF\nann:secret\nbob:*\nEOF\n"), ["2 ann clear"]);
        assert_eq!(found("chpasswd </mnt/passwords"), ["1 ? hash"]);
        assert_eq!(found("printf 'x\\nx\\n' | passwd ann"), ["1 ann hash"]);
        assert_eq!(found("echo x | passwd"), ["1 root hash"]);
        assert_eq!(found("usermod -p '$6$a$b' ann"), ["1 ann hash"]);
        assert_eq!(found("if true; then echo root:x | chpasswd; fi"), ["1 root clear"]);
    }

    #[test]
    fn passes_over_what_sets_none() {
        for line in [
            "# echo root:hoopy | chpasswd",
            "echo 'admin:*' | chpasswd -e",
            "passwd -l root",
            "passwd -d root",
            "sed -i s/x/y/ /etc/passwd",
            "apk add chpasswd",
            "usermod -aG wheel ann",
            "useradd -p '!' ann",
        ] {
            assert!(found(line).is_empty(), "{line}: {:?}", found(line));
        }
    }
}
