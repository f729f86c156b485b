//! The message that asks a session for a run: a script, the layers below it, and where its changes go.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;

use super::{Message, Tag, bad, send};
use crate::limits::Limits;
use crate::{Lowers, Script};

/// Where a script's changes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Upper {
    /// To a tmpfs of bounded size: fast, and nothing is left that must be removed.
    Memory,
    /// To the store's filesystem.
    Disk,
}

/// A script, the layers below it, and where its changes go.
pub(in super::super) struct Run {
    pub(in super::super) script: Script,
    pub(in super::super) lowers: Lowers,
    pub(in super::super) upper: Upper,
    pub(in super::super) limits: Limits,
    /// Whether what the script sees at `/mnt` is a mount that is handed over, since its owners are mapped.
    pub(in super::super) handed: bool,
}

impl Run {
    pub(in super::super) fn send(
        out: &mut dyn Write,
        script: &Script,
        lowers: &Lowers,
        upper: Upper,
        limits: Limits,
        handed: bool,
    ) -> io::Result<()> {
        let args: Vec<u8> = script.args.iter().flat_map(|arg| arg.iter().copied().chain([0])).collect();
        let env: Vec<u8> =
            script.env.iter().flat_map(|(key, value)| format!("{key}={value}\0").into_bytes()).collect();
        let layers: Vec<u8> = lowers.layers().flat_map(|id| *id.as_bytes()).collect();
        let groups: Vec<u8> = lowers.groups().iter().flat_map(|g| (g.len() as u32).to_le_bytes()).collect();
        let bind = script.bind.as_ref().map_or(&b""[..], |path| path.as_os_str().as_bytes());
        let hidden: Vec<u8> =
            script.hidden.iter().flat_map(|p| p.as_os_str().as_bytes().iter().copied().chain([0])).collect();
        let strings = [
            script.name.as_bytes(),
            &script.body,
            &args,
            &env,
            script.cwd.as_os_str().as_bytes(),
            bind,
            &hidden,
            &[u8::from(script.network)],
            &layers,
            &groups,
            &[u8::from(upper == Upper::Memory)],
            &limits.to_bytes(),
            &[u8::from(handed)],
        ];
        send(out, Tag::Run, &strings)
    }

    pub(in super::super) fn from(message: &mut Message) -> io::Result<Self> {
        let (name, body) = (message.text()?, message.bytes()?);
        let args = split(&message.bytes()?).map(<[u8]>::to_vec).collect();
        let env = message.text()?;
        let env = split(env.as_bytes()).filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let cwd = message.path()?;
        let bind = Some(message.path()?).filter(|path| !path.as_os_str().is_empty());
        let hidden = message.bytes()?;
        let hidden = split(&hidden).map(|p| OsStr::from_bytes(p).into()).collect();
        let network = message.bytes()? == [1];
        let script = Script { name, body, args, env, cwd, bind, hidden, network };
        let lowers = message.lowers()?;
        let upper = if message.bytes()? == [1] { Upper::Memory } else { Upper::Disk };
        let limits =
            Limits::from_bytes(&message.bytes()?).ok_or_else(|| bad("with limits of the wrong size"))?;
        let handed = message.bytes()? == [1];
        Ok(Self { script, lowers, upper, limits, handed })
    }
}

fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.strip_suffix(&[0]).into_iter().flat_map(|bytes| bytes.split(|&b| b == 0))
}

impl Message {
    fn lowers(&mut self) -> io::Result<Lowers> {
        let (ids, sizes) = (self.ids()?, self.bytes()?);
        let mut rest = &ids[..];
        let mut groups = Vec::new();
        for size in sizes.as_chunks::<4>().0 {
            let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
            let (group, others) = rest.split_at_checked(size).ok_or_else(|| bad("with a layer missing"))?;
            groups.push(group.to_vec());
            rest = others;
        }
        Ok(Lowers::from_groups(groups))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_base::digest::LayerId;

    use super::super::receive;
    use super::*;

    #[test]
    fn gives_back_a_run_as_it_was_sent() {
        let script = Script {
            name: "x.post-install".into(),
            body: b"#!/bin/sh\n\0".to_vec(),
            args: vec![b"1.0".to_vec(), Vec::new(), vec![0xff]],
            env: vec![("A".into(), "b=c".into()), ("D".into(), String::new())],
            cwd: "/mnt".into(),
            bind: None,
            hidden: vec!["images".into()],
            network: true,
        };
        let mut bytes = Vec::new();
        let [a, b, c] = [b"a", b"b", b"c"].map(|id| LayerId::of(id));
        let lowers = Lowers::from_groups(vec![vec![a, b], vec![c]]);
        let limits = Limits::default();
        Run::send(&mut bytes, &script, &lowers, Upper::Memory, limits, true).unwrap();
        let mut message = receive(&mut &bytes[..]).unwrap().unwrap();
        let run = Run::from(&mut message).unwrap();
        assert_eq!(format!("{:?}", run.script), format!("{script:?}"));
        assert_eq!((run.lowers, run.upper, run.limits, run.handed), (lowers, Upper::Memory, limits, true));
    }
}
