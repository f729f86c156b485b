//! Which branch a system is of that names none and has no lock: what its mirror calls `latest-stable`.
//!
//! `latest-stable` is a directory, on Alpine's mirrors a link, and which release it is stands in no name that a mirror
//! shows. The description of its index says it (`v3.23.1-17-gabcdef`), and is signed. The number goes into the lock, so
//! that the next release changes nothing by itself.

use std::path::Path;

use hoopy_base::arch::Arch;
use hoopy_base::report::Event;

use super::error::MakeError;
use super::indexes;
use crate::config::branch::{BranchRequest, BranchSource, FALLBACK_BRANCH, LATEST_STABLE, leading_release};
use crate::config::{Repository, System};
use crate::context::Context;
use crate::fetch::{self, FetchError};
use crate::target::Target;

/// What a mirror says of `latest-stable`.
enum Newest {
    /// Its number.
    Release(String),
    /// It has no such directory.
    Missing,
    /// It has one, and nothing in it says which release it is.
    Unnamed,
}

/// `target` on a branch that something names: the one that is written or locked, else the mirror's newest release, else
/// the fallback. Which one was taken, and why, is said.
///
/// # Errors
/// [`MakeError`] when the mirror cannot be asked.
pub fn with_branch(target: Target, context: Context<'_>) -> Result<Target, MakeError> {
    let Target { system, arch, .. } = &target;
    // A system of repositories that are elsewhere needs no branch, and perhaps no mirror.
    if system.branch_source != BranchSource::Unknown || !system.follows_branch() {
        return Ok(target);
    }
    let mirror = &system.mirror;
    let fallback = |why: &str| {
        let said = format!("{LATEST_STABLE} of {mirror} {why}: using Alpine {FALLBACK_BRANCH}");
        (FALLBACK_BRANCH.to_owned(), said)
    };
    let (branch, said) = match ask(system, *arch, context)? {
        Newest::Release(branch) => {
            let said = format!("{LATEST_STABLE} of {mirror} is Alpine {branch}");
            (branch, said)
        }
        Newest::Missing => fallback("is not there"),
        Newest::Unnamed => fallback("does not say which release it is"),
    };
    context.observer.event(Event::Note(&said));
    Ok(target.on_branch(&branch))
}

/// The branch that was asked for on the command line.
///
/// # Errors
/// [`MakeError::NoLatest`] where the mirror does not say what `latest-stable` is.
pub fn requested(
    target: &Target,
    request: &BranchRequest,
    context: Context<'_>,
) -> Result<String, MakeError> {
    match request {
        BranchRequest::Named(branch) => Ok(branch.clone()),
        BranchRequest::LatestStable => match ask(&target.system, target.arch, context)? {
            Newest::Release(branch) => Ok(branch),
            Newest::Missing | Newest::Unnamed => Err(MakeError::NoLatest(target.system.mirror.clone())),
        },
    }
}

fn ask(system: &System, arch: Arch, context: Context<'_>) -> Result<Newest, MakeError> {
    let main = Repository::of_branch("main", &system.mirror, LATEST_STABLE);
    let (keys, _) = fetch::keyring(arch, system.keys.as_deref())?;
    let (place, bytes) = match indexes::fetch(&main.location, arch, context.client) {
        Err(FetchError::Missing { .. }) => return Ok(Newest::Missing),
        fetched => fetched?,
    };
    let index = hoopy_apk::index::read(&bytes, &keys).map_err(|source| MakeError::Index { place, source })?;
    let named = leading_release(&index.description).or_else(|| link(&system.mirror));
    Ok(named.map_or(Newest::Unnamed, Newest::Release))
}

/// What `latest-stable` of a directory is a link to: an index that is made by hand need not say what it is of.
fn link(mirror: &str) -> Option<String> {
    if fetch::is_remote(mirror) {
        return None;
    }
    let dir = Path::new(mirror).join(LATEST_STABLE).canonicalize().ok()?;
    leading_release(dir.file_name()?.to_str()?)
}
