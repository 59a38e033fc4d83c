//! From names to addresses that a request may go to.
//!
//! The resolver sits inside the shared HTTP client: it sees every name before every new connection, and the client
//! connects to nothing but what it returns, so an answer cannot change between check and use.
//! One forbidden address refuses the whole name.
//! It never sees literal addresses; those are checked before every request.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, future::Shared};
use reqwest::dns::{Addrs, Name, Resolving};
use tidings::{
    address::AllowList,
    deliverer::BoxFuture,
    endpoint::{check_resolved, is_localhost},
};

/// Finds the addresses of names.
///
/// It applies no rule; whatever it returns is checked afterwards.
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// Returns the addresses of `name`; it may be given with or without the full stop of the root at its end.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, LookupError>>;
}

/// A name that was not resolved.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The resolver knows no address, or could not ask.
    #[error("the name {name} cannot be resolved: {reason}")]
    Failed {
        /// The name.
        name: String,
        /// What the resolver says.
        reason: String,
    },
    /// No answer came in time.
    #[error("the name {name} was not resolved within {} ms", after.as_millis())]
    TimedOut {
        /// The name.
        name: String,
        /// How long it was waited for.
        after: Duration,
    },
}

/// The resolver of the operating system.
///
/// Names are absolute: no search domain is tried, so `example.com` never means `example.com.ours.internal`.
/// Most systems find no absolute name in their hosts file, so a receiver needs a name in the DNS, or an address.
/// `localhost` and names below it are this machine without asking anyone (RFC 6761).
///
/// The operating system blocks a thread per question, for longer than anyone waits for the answer.
/// All who ask for the same name at once therefore share one question, and a name whose server hangs holds one
/// thread, however many deliveries are due.
#[derive(Clone, Default)]
pub struct System {
    asked: Arc<Mutex<HashMap<String, Shared<Lookup>>>>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Lookup = BoxFuture<'static, Result<Vec<IpAddr>, LookupError>>;

/// Lets the HTTP client resolve names under the rules of an operator.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) allow: Arc<AllowList>,
    /// How long a name may take.
    pub(super) timeout: Duration,
}

impl Resolve for System {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, LookupError>> {
        if is_localhost(name) {
            let this_machine = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return std::future::ready(Ok(this_machine)).boxed();
        }
        self.ask(name).boxed()
    }
}

impl System {
    /// Returns the answer to a question that has been asked already, or asks.
    fn ask(&self, name: &str) -> Shared<Lookup> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = asked.get(name) {
            return lookup.clone();
        }
        let (system, question) = (self.clone(), name.to_owned());
        // A task of its own, because those who wait for it may give up, and the last of them must not leave the
        // question behind in the map. It takes the question out after we have put it in: we hold the lock.
        let task = tokio::spawn(async move {
            let found = lookup(&question).await;
            system.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&question);
            found
        });
        let lost = LookupError::Failed { name: name.to_owned(), reason: "interrupted".to_owned() };
        let lookup = task.map(|found| found.unwrap_or(Err(lost))).boxed().shared();
        asked.insert(name.to_owned(), lookup.clone());
        lookup
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("System")
    }
}

impl Guard {
    /// Returns the addresses of `name`, all of which may be called.
    ///
    /// The error is an [`EndpointError`](tidings::endpoint::EndpointError) if one may not, and a [`LookupError`] if
    /// the name was not resolved.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, BoxError> {
        let found = tokio::time::timeout(self.timeout, self.resolver.resolve(name)).await;
        let timed_out = || LookupError::TimedOut { name: name.to_owned(), after: self.timeout };
        let addresses = found.map_err(|_| timed_out())??;
        check_resolved(name, &addresses, &self.allow)?;
        Ok(addresses)
    }
}

impl reqwest::dns::Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let addresses = guard.addresses(name.as_str()).await?.into_iter();
            // The client puts the port of the URL in place of zero.
            Ok(Box::new(addresses.map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

async fn lookup(name: &str) -> Result<Vec<IpAddr>, LookupError> {
    let absolute = format!("{}.", name.trim_end_matches('.'));
    match tokio::net::lookup_host((absolute, 0)).await {
        Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
        Err(error) => Err(LookupError::Failed { name: name.to_owned(), reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use tidings::endpoint::EndpointError;

    use super::*;

    #[derive(Debug)]
    struct Fixed(Vec<IpAddr>);

    impl Resolve for Fixed {
        fn resolve<'a>(
            &'a self,
            _name: &'a str,
        ) -> BoxFuture<'a, Result<Vec<IpAddr>, LookupError>> {
            std::future::ready(Ok(self.0.clone())).boxed()
        }
    }

    #[derive(Debug)]
    struct Hanging;

    impl Resolve for Hanging {
        fn resolve<'a>(
            &'a self,
            _name: &'a str,
        ) -> BoxFuture<'a, Result<Vec<IpAddr>, LookupError>> {
            std::future::pending().boxed()
        }
    }

    async fn guarded(resolver: impl Resolve, allow: &str) -> Result<Vec<IpAddr>, BoxError> {
        let allow = Arc::new(allow.parse().unwrap());
        let timeout = Duration::from_millis(40);
        Guard { resolver: Arc::new(resolver), allow, timeout }.addresses("example.com").await
    }

    #[tokio::test]
    async fn public_addresses_are_passed_on() {
        let address = IpAddr::from([8, 8, 8, 8]);
        let addresses = guarded(Fixed(vec![address]), "").await.unwrap();
        assert_eq!(addresses, [address]);
    }

    #[tokio::test]
    async fn one_forbidden_address_refuses_the_name() {
        let addresses = vec![IpAddr::from([8, 8, 8, 8]), IpAddr::from([10, 0, 0, 1])];
        let error = guarded(Fixed(addresses.clone()), "").await.unwrap_err();
        let error = error.downcast_ref::<EndpointError>().unwrap();
        assert!(matches!(error, EndpointError::Name { host, .. } if host == "example.com"));
        assert_eq!(guarded(Fixed(addresses), "10.0.0.0/8").await.unwrap().len(), 2);
        assert!(guarded(Fixed(Vec::new()), "").await.is_err());
    }

    #[tokio::test]
    async fn name_that_hangs_is_given_up_in_time() {
        let error = guarded(Hanging, "").await.unwrap_err();
        assert_eq!(error.to_string(), "the name example.com was not resolved within 40 ms");
    }

    #[tokio::test]
    async fn localhost_is_this_machine_without_asking() {
        for name in ["localhost", "localhost.", "api.localhost"] {
            let addresses = System::default().resolve(name).await.unwrap();
            assert!(addresses.len() == 2 && addresses.iter().all(IpAddr::is_loopback), "{name}");
        }
    }

    #[tokio::test]
    async fn those_who_ask_for_one_name_at_once_share_the_question() {
        let system = System::default();
        // A part of a name has at most 63 characters, so nobody out there is asked.
        let name = format!("{}.test", "x".repeat(64));
        let asking = [system.ask(&name), system.ask(&name)];
        assert!(asking[0].ptr_eq(&asking[1]));
        for answer in futures_util::future::join_all(asking).await {
            assert!(matches!(answer, Err(LookupError::Failed { .. })), "{answer:?}");
        }
        assert!(system.asked.lock().unwrap().is_empty());
    }
}
