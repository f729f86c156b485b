//! Extended attributes (file capabilities above all): an initramfs cannot hold them (newc has no room for them,
//! Documentation/driver-api/early-userspace/buffer-format.rst), so a service sets them again at boot, when the
//! image has the program for it.

use hoopy_base::report::{Event, Observer};
use hoopy_base::shell;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::{Entry, EntryPath, Kind};

use super::{Stack, StackError, database};

/// What sets attributes: of the package `attr`. BusyBox has nothing for it.
const PROGRAM: &str = "usr/bin/setfattr";

/// As many of the files that lose attributes are named: a script can give them to each of a million.
const SHOWN: usize = 5;

/// The service, in the runlevel where nothing else runs yet.
const SERVICE: &str = "etc/init.d/hoopy-attributes";
const RUNLEVEL: &str = "etc/runlevels/sysinit/hoopy-attributes";

/// Adds the service to `builder` where the image needs it, or says which files lose what they had.
pub fn restore(stack: &Stack, builder: &mut Builder, observer: &dyn Observer) -> Result<(), StackError> {
    let has = |(path, entry): &(&EntryPath, &Entry)| !entry.xattrs.is_empty() && !database::is_boot(path);
    let losing: Vec<_> = stack.tree.iter().map(|(p, e, _)| (p, e)).filter(has).collect();
    if losing.is_empty() {
        return Ok(());
    }
    if stack.tree.follow(&EntryPath::new(PROGRAM)?).is_none() {
        let shown: Vec<String> = losing.iter().take(SHOWN).map(|(path, _)| format!("/{path}")).collect();
        let more = match losing.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        observer.event(Event::Warning(&format!(
            "an initramfs cannot hold the capabilities or attributes of {}{more}: add `attr` to `packages`, and they are \
             set at boot",
            shown.join(", ")
        )));
        return Ok(());
    }
    builder.add_bytes(&EntryPath::new(SERVICE)?, 0o755, service(&losing).as_bytes())?;
    builder.add(&EntryPath::new(RUNLEVEL)?, Kind::Symlink(format!("/{SERVICE}").into_bytes()), 0o777);
    Ok(())
}

fn service(files: &[(&EntryPath, &Entry)]) -> String {
    let mut text = String::from(
        "#!/sbin/openrc-run\n# Made by hoopy: what the initramfs could not hold of these files.\n\
         description=\"Sets capabilities and other attributes of files\"\n\nstart() {\n\tebegin \"Setting file attributes\"\n",
    );
    for (path, entry) in files {
        for (name, value) in &entry.xattrs {
            let value = data_encoding::HEXLOWER.encode(value);
            let quoted = |bytes: &[u8]| shell::quoted(&String::from_utf8_lossy(bytes));
            let (name, path) = (quoted(name), quoted(&[b"/", path.as_bytes()].concat()));
            text += &format!("\t/{PROGRAM} -h -n {name} -v 0x{value} {path} || return 1\n");
        }
    }
    text + "\teend 0\n}\n"
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Mutex;

    use hoopy_store::Store;

    use super::*;
    use crate::stack::Origin;

    #[derive(Default)]
    struct Heard(Mutex<String>);

    impl Observer for Heard {
        fn event(&self, event: Event<'_>) {
            if let Event::Warning(text) = event {
                self.0.lock().unwrap().push_str(text);
            }
        }
    }

    /// What `restore` adds to a stack with a capable file, with or without `attr`, and what it warns of.
    fn restored(with_program: bool) -> (Vec<String>, String) {
        restored_of(&["bin/it's"], with_program)
    }

    fn restored_of(paths: &[&str], with_program: bool) -> (Vec<String>, String) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut stack = Stack::default();
        let mut below = Builder::new(&store, 0);
        for path in paths {
            let path = EntryPath::new(path).unwrap();
            below.add_bytes(&path, 0o755, b"x").unwrap();
            let capability = (b"security.capability".to_vec(), vec![1, 0, 0, 2]);
            below.get_mut(&path).unwrap().xattrs.extend([capability]);
        }
        if with_program {
            below.add_bytes(&EntryPath::new(PROGRAM).unwrap(), 0o755, b"x").unwrap();
        }
        stack.push(below.finish(&store).unwrap(), Origin::Files);
        let (heard, mut builder) = (Heard::default(), Builder::new(&store, 0));
        restore(&stack, &mut builder, &heard).unwrap();
        let layer = builder.finish(&store).unwrap();
        let service = layer.read_file(&store, &EntryPath::new(SERVICE).unwrap()).unwrap();
        let text = String::from_utf8(service.unwrap_or_default()).unwrap();
        (text.lines().map(str::to_owned).collect(), heard.0.into_inner().unwrap())
    }

    #[test]
    fn capabilities_are_set_at_boot_by_a_service() {
        let (service, warning) = restored(true);
        let line = r"	/usr/bin/setfattr -h -n 'security.capability' -v 0x01000002 '/bin/it'\''s' || return 1";
        assert!(service.iter().any(|l| l == line), "{service:?}");
        assert_eq!(warning, "");
    }

    #[test]
    fn capabilities_that_would_be_lost_are_named() {
        let (service, warning) = restored(false);
        assert!(service.is_empty());
        assert!(warning.contains("/bin/it's") && warning.contains("`attr`"), "{warning}");
    }

    #[test]
    fn of_many_that_would_lose_theirs_five_are_named() {
        let (_, warning) = restored_of(&["a", "b", "c", "d", "e"], false);
        assert!(warning.contains(" of /a, /b, /c, /d, /e: add"), "{warning}");
        let (_, warning) = restored_of(&["a", "b", "c", "d", "e", "f", "g"], false);
        assert!(warning.contains(" of /a, /b, /c, /d, /e and 2 more: add"), "{warning}");
    }
}
