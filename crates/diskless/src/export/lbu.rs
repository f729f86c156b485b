//! lbu's list: what `lbu commit` saves besides `etc`, and what it does not.

/// Where it is.
pub const LIST: &str = "etc/apk/protected_paths.d/lbu.list";

/// The list `own` of `root/`, with what it lacks: paths outside `etc` that the overlay has, and those that are meant to
/// change (`ignored`, of `[drift]`). Its lines stay as they are: directories, patterns, comments. apk reads `*` as hoopy does.
pub fn list(own: &str, outside: &[String], ignored: &[String]) -> String {
    let mut list = own.to_owned();
    if !list.is_empty() && !list.ends_with('\n') {
        list.push('\n');
    }
    let of = |signs: &[char]| -> Vec<&str> {
        let lines = own.lines().filter_map(|line| line.trim().strip_prefix(signs));
        lines.map(|path| path.trim_matches('/')).collect()
    };
    let (included, excluded) = (of(&['+']), of(&['-', '!']));
    let is_within = |path: &str, dir: &str| {
        path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for path in outside.iter().filter(|path| !included.iter().any(|dir| is_within(path, dir))) {
        list += &format!("+{path}\n");
    }
    for path in ignored.iter().map(|path| path.trim_matches('/')).filter(|path| !excluded.contains(path)) {
        list += &format!("-{path}\n");
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn a_list_that_was_imported_comes_back_as_it_was() {
        let own = "# mine\n+usr/local/bin\n+var/lib/foo\n-etc/ssh/ssh_host_*\n-root/.ssh/known_hosts\n";
        let ignored = owned(&["/etc/ssh/ssh_host_*", "/root/.ssh/known_hosts"]);
        assert_eq!(list(own, &owned(&["usr/local/bin/a", "usr/local/bin/b"]), &ignored), own);
    }

    #[test]
    fn what_the_list_lacks_is_added() {
        let found =
            list("+usr/local/bin", &owned(&["usr/local/binary", "srv/x"]), &owned(&["/etc/app/*.db"]));
        assert_eq!(found, "+usr/local/bin\n+usr/local/binary\n+srv/x\n-etc/app/*.db\n");
        assert_eq!(list("", &owned(&["srv/x"]), &[]), "+srv/x\n");
        assert_eq!(list("", &[], &[]), "");
    }
}
