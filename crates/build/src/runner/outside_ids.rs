//! Scripts that give files to users or groups with numbers which a sandbox does not have: it has those that fit 16 bits, and a
//! container's user may be 100000. A virtual machine has all of them.

use std::collections::BTreeSet;

use hoopy_sandbox::{SandboxError, Script};

/// The first number that a sandbox does not have.
const FIRST: u64 = 1 << 16;

/// The largest that there is: the next stands for "no change".
const LAST: u64 = u32::MAX as u64 - 1;

/// Why `script` is to run in a virtual machine, where that is why it failed in the sandbox.
pub fn reason(error: &SandboxError, script: &Script) -> Option<String> {
    if !error.refused_owner() {
        return None;
    }
    let ids: Vec<String> = numbers(&script.body).iter().map(u64::to_string).collect();
    let which = match ids.as_slice() {
        [] => "ids".to_owned(),
        [one] => format!("the id {one}"),
        many => format!("the ids {}", many.join(", ")),
    };
    let name = &script.name;
    Some(format!(
        "{name} runs in a virtual machine: it gives files to {which}, and the sandbox has 0 to {}",
        FIRST - 1
    ))
}

/// The numbers of a script that may be such ids.
fn numbers(script: &[u8]) -> BTreeSet<u64> {
    let words = script.split(|byte| !byte.is_ascii_alphanumeric()).map(String::from_utf8_lossy);
    words.filter_map(|word| word.parse().ok()).filter(|id| (FIRST..=LAST).contains(id)).collect()
}

#[cfg(test)]
mod tests {
    use hoopy_sandbox::Ended;

    use super::*;

    fn told(body: &str, output: &str) -> Option<String> {
        let script = Script {
            name: "setup.sh".to_owned(),
            body: body.as_bytes().to_vec(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: "/".into(),
            bind: None,
            hidden: Vec::new(),
            network: false,
        };
        let output = output.as_bytes().to_vec();
        let error = SandboxError::ScriptFailed {
            name: "setup.sh".to_owned(),
            ended: Ended::Exit(1),
            line: None,
            output,
        };
        reason(&error, &script)
    }

    #[test]
    fn ids_that_the_sandbox_does_not_have_are_named() {
        let said = told("chown -R 100000:100999 /srv/x; sleep 5", "chown: /srv/x: Invalid argument\n");
        let expected = "setup.sh runs in a virtual machine: it gives files to the ids 100000, 100999, and the sandbox has \
                        0 to 65535";
        assert_eq!(said.as_deref(), Some(expected));
        let by_name = told("chown app /srv/x", "chown: /srv/x: Invalid argument\n");
        assert!(by_name.is_some_and(|said| said.contains("it gives files to ids, and")));
    }

    #[test]
    fn other_failures_are_none_of_that() {
        assert_eq!(told("chown 100000 /x", "chown: /x: No such file or directory\n"), None);
        assert_eq!(told("mount /x", "mount: /x: Invalid argument\n"), None);
        assert!(numbers(b"chown 65535:4294967295 a1000000 99999999999").is_empty());
    }
}
