//! What other formats over HTTP take from the webhooks: the one client with its rules.

use std::{sync::Arc, time::Duration};

use reqwest::header::HeaderMap;
use tidings::{
    deliverer::OpenError,
    endpoint::{Endpoint, EndpointError, Policy},
};

use super::{Webhook, caller::Caller};

impl Webhook {
    /// Returns which URLs and addresses may be called.
    pub(crate) fn policy(&self) -> &Policy {
        &self.inner.settings.policy
    }

    /// Gets ready to call `endpoint`, which has been checked against [`policy`](Self::policy).
    pub(crate) fn caller(
        &self,
        endpoint: Endpoint,
        timeout: Option<Duration>,
    ) -> Result<Caller, OpenError> {
        let timeout = timeout.unwrap_or(self.inner.settings.timeout);
        Caller::open(Arc::clone(&self.inner), endpoint, &HeaderMap::new(), timeout)
    }

    /// Checks the addresses that the name of `endpoint` has now; one that cannot be resolved passes.
    pub(crate) async fn check_addresses(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        if endpoint.literal().is_some() {
            return Ok(());
        }
        let found = self.inner.guard.addresses(&endpoint.host()).await;
        let Err(error) = found else { return Ok(()) };
        match error.downcast::<EndpointError>() {
            Ok(refused) => Err(*refused),
            Err(_unresolved) => Ok(()),
        }
    }
}
