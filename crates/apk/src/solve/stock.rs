//! What there is to choose from, as the search sees it: every list is a range of numbers, so that it can be walked in
//! memory or in the bytes of a file alike.

use std::ops::Range;

use super::universe::{Dep, NameId, PackageId, Provider};
use crate::record::Checksum;

/// Names, packages and who refers to whom. What is asked for by a number that there is not is empty.
pub(super) trait Stock<'a> {
    /// How many names are known.
    fn name_count(&self) -> usize;

    /// How many packages are known.
    fn package_count(&self) -> usize;

    /// The numbers of names, where they are known.
    fn find_all(&self, names: &[&str]) -> Vec<Option<NameId>>;

    /// The bucket of a name in apk's hash table.
    fn bucket(&self, name: NameId) -> u32;

    /// The packages of that name and those that provide it, in the order of the indexes.
    fn provider_list(&self, name: NameId) -> Range<u32>;

    /// One of them.
    fn provider(&self, at: u32) -> Provider<'a>;

    /// The package of one of them.
    fn provider_package(&self, at: u32) -> PackageId;

    /// What a package depends on.
    fn depend_list(&self, package: PackageId) -> Range<u32>;

    /// What a package provides beside its name.
    fn provide_list(&self, package: PackageId) -> Range<u32>;

    /// What a package waits for.
    fn install_if_list(&self, package: PackageId) -> Range<u32>;

    /// One of these three.
    fn dep(&self, at: u32) -> Dep<'a>;

    /// The name of one of these three.
    fn dep_name(&self, at: u32) -> NameId;

    /// The packages that depend on a name.
    fn dependent_list(&self, name: NameId) -> Range<u32>;

    /// One of them.
    fn dependent(&self, at: u32) -> PackageId;

    /// Names of which some provider has this one in its `install_if`.
    fn trigger_list(&self, name: NameId) -> Range<u32>;

    /// One of them.
    fn trigger(&self, at: u32) -> NameId;

    /// The name of a package.
    fn name_of(&self, package: PackageId) -> NameId;

    /// The version of a package.
    fn version(&self, package: PackageId) -> &'a str;

    /// Its preference among providers of one name: apk keeps sixteen bits of it.
    fn priority(&self, package: PackageId) -> u16;

    /// Whether a package installs nothing.
    fn is_empty(&self, package: PackageId) -> bool;

    /// Whether the architecture fits and apk understands what it depends on.
    fn is_installable(&self, package: PackageId) -> bool;

    /// The repositories that hold a package, the first being bit 0.
    fn repositories_of(&self, package: PackageId) -> u64;

    /// Its identity.
    fn checksum(&self, package: PackageId) -> Option<Checksum>;

    /// The repositories without tag.
    fn untagged(&self) -> u64;

    /// The tags in order of first appearance, each with its repositories.
    fn tags(&self) -> &[(&'a str, u64)];

    /// [`Stock::provider_list`], walked.
    fn providers(&self, name: NameId) -> impl Iterator<Item = Provider<'a>> {
        self.provider_list(name).map(|at| self.provider(at))
    }

    /// [`Stock::depend_list`], walked.
    fn depends(&self, package: PackageId) -> impl Iterator<Item = Dep<'a>> {
        self.depend_list(package).map(|at| self.dep(at))
    }

    /// [`Stock::provide_list`], walked.
    fn provides(&self, package: PackageId) -> impl Iterator<Item = Dep<'a>> {
        self.provide_list(package).map(|at| self.dep(at))
    }

    /// The names of [`Stock::provide_list`]: what is provided as which version is a look further.
    fn provided_names(&self, package: PackageId) -> impl Iterator<Item = NameId> {
        self.provide_list(package).map(|at| self.dep_name(at))
    }

    /// The names that a package stands for: its own, then those of [`Stock::provide_list`].
    fn names_of(&self, package: PackageId) -> impl Iterator<Item = NameId> {
        std::iter::once(self.name_of(package)).chain(self.provided_names(package))
    }

    /// [`Stock::install_if_list`], walked.
    fn install_if(&self, package: PackageId) -> impl Iterator<Item = Dep<'a>> {
        self.install_if_list(package).map(|at| self.dep(at))
    }

    /// [`Stock::dependent_list`], walked.
    fn dependents(&self, name: NameId) -> impl Iterator<Item = PackageId> {
        self.dependent_list(name).map(|at| self.dependent(at))
    }

    /// [`Stock::trigger_list`], walked.
    fn triggers(&self, name: NameId) -> impl Iterator<Item = NameId> {
        self.trigger_list(name).map(|at| self.trigger(at))
    }
}
