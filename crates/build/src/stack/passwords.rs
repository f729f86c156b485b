//! Empty passwords, with which anybody can log in, are locked: the field becomes `*`, which no password matches.
//!
//! The accounts of packages are locked before `setup.sh` runs, as alpine-make-rootfs does it, and those of `root/` too, of
//! which the user hears. What `setup.sh` empties after that (`passwd -d root`) is meant, and stays; of that, too, the user
//! hears.

use hoopy_base::report::{Event, Observer};
use hoopy_store::Store;
use hoopy_store::layer::EntryPath;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;

use super::{Stack, StackError};

/// The files with a password in the second field, and what stands there for none: in `passwd`, that `shadow` has it.
const FILES: [(&str, &str); 2] = [("etc/shadow", "*"), ("etc/passwd", "x")];

/// The layer that locks every account of `stack` without a password; `None` where there is none. `tell` hears of them.
pub fn lock(
    stack: &Stack,
    epoch: u64,
    store: &Store,
    tell: Option<&dyn Observer>,
) -> Result<Option<Layer>, StackError> {
    let mut builder = Builder::new(store, epoch);
    for (file, locked) in FILES {
        let Some((path, text)) = read(stack, file, store)? else { continue };
        let (text, open) = lock_text(&text, locked);
        let Some(entry) = stack.tree.follow(&path).filter(|_| !open.is_empty()) else { continue };
        if let Some(observer) = tell {
            let names = open.join(", ");
            observer.event(Event::Warning(&format!(
                "root/{file} has no password for {names}, and anybody could log in: locked; `passwd -d NAME` in setup.sh \
                 leaves an account open"
            )));
        }
        builder.add_bytes(&entry.path, entry.mode, &text)?;
        if let Some(new) = builder.get_mut(&entry.path) {
            (new.user, new.group) = (entry.user.clone(), entry.group.clone());
        }
    }
    if builder.is_empty() { Ok(None) } else { Ok(Some(builder.finish(store)?)) }
}

/// Tells of accounts that are open in the image.
pub fn warn(stack: &Stack, store: &Store, observer: &dyn Observer) -> Result<(), StackError> {
    for (file, locked) in FILES {
        let Some((_, text)) = read(stack, file, store)? else { continue };
        let (_, open) = lock_text(&text, locked);
        if !open.is_empty() {
            let names = open.join(", ");
            observer.event(Event::Warning(&format!(
                "setup.sh: /{file} has no password for {names}: anybody can log in without one"
            )));
        }
    }
    Ok(())
}

fn read(stack: &Stack, file: &str, store: &Store) -> Result<Option<(EntryPath, Vec<u8>)>, StackError> {
    let path = EntryPath::new(file)?;
    Ok(stack.read(&path, store)?.map(|text| (path, text)))
}

/// The text with every empty second field as `locked`, and the names whose it was.
fn lock_text(text: &[u8], locked: &str) -> (Vec<u8>, Vec<String>) {
    let mut open = Vec::new();
    let line = |line: &[u8]| {
        let mut fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
        if let [name, password, _, ..] = fields.as_mut_slice()
            && !name.is_empty()
            && !name.starts_with(b"#")
            && password.is_empty()
        {
            open.push(String::from_utf8_lossy(name).into_owned());
            *password = locked.as_bytes();
        }
        fields.join(&b':')
    };
    let lines: Vec<Vec<u8>> = text.split(|&byte| byte == b'\n').map(line).collect();
    (lines.join(&b'\n'), open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_empty_password_is_locked_wherever_it_stands() {
        let shadow = b"daemon:*:1::\nroot::19000:0:::::\nme:$6$x:1::\nguest::1::\n# a::b:c\n\n";
        let (text, open) = lock_text(shadow, "*");
        assert_eq!(open, ["root", "guest"]);
        assert_eq!(text, b"daemon:*:1::\nroot:*:19000:0:::::\nme:$6$x:1::\nguest:*:1::\n# a::b:c\n\n");
        assert_eq!(lock_text(b"root::0:0::/root:/bin/sh", "x").0, b"root:x:0:0::/root:/bin/sh");
    }
}
