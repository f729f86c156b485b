//! What all steps of the road share.

use std::sync::Arc;

use hoopy_base::jobs::Jobs;
use hoopy_base::report::Observer;
use hoopy_store::Store;

use crate::fetch::Client;

/// What all steps of the road share. Copies are the same.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The store. Shared, since work that is begun before it is needed uses it too.
    pub store: &'a Arc<Store>,
    /// How mirrors are asked.
    pub client: &'a Client,
    /// The cores that may be kept busy.
    pub jobs: &'a Jobs,
    /// Who sees how it goes.
    pub observer: &'a dyn Observer,
}
