//! Whether the endpoints of subscribers may still be called, and whether their names lead anywhere.
//!
//! Nothing is connected to: `tidings subscriber ping` does that.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tidings::{
    doctor::{self, Called, Finding, named},
    endpoint::{Config, Endpoint, EndpointError, Policy, check_resolved},
};
use tidings_worker::webhook::KIND;
use tokio::task::JoinSet;

use crate::{
    connection::Database,
    context::Context,
    failure::{chain, judge},
};

/// How many subscribers are looked at.
const SUBSCRIBERS_MAX: u32 = 1000;

/// How many names are looked up at a time.
const LOOKUPS_MAX: usize = 32;

/// Whom a host belongs to, by their place in the list.
type Hosts = BTreeMap<String, Vec<usize>>;

/// Checks the endpoints of the first thousand subscribers that have one.
pub(super) async fn endpoints(
    context: &Context,
    database: &mut Database,
    timeout: Duration,
) -> Result<Vec<Finding>> {
    let mut tx = database.begin().await?;
    super::limit(&mut tx, timeout).await?;
    let called = doctor::called(&mut tx, 0, SUBSCRIBERS_MAX).await;
    // Nothing is held while a name server takes its time.
    tx.rollback().await.context("end a check")?;
    let called = match called {
        Ok(called) => called,
        Err(error) => return super::unchecked(error),
    };
    let policy = context.global.policy();
    let mut found = Vec::new();
    let mut hosts = Hosts::new();
    for (place, one) in called.iter().enumerate() {
        match endpoint(&one.kind, &one.config, &policy) {
            Ok(endpoint) if endpoint.literal().is_some() => {}
            Ok(endpoint) => hosts.entry(endpoint.host()).or_default().push(place),
            Err(error) => found.push(refused(one, error)),
        }
    }
    for (host, addresses) in resolve(hosts.keys(), timeout).await {
        let whose = hosts.get(&host).into_iter().flatten().filter_map(|place| called.get(*place));
        for one in whose {
            match &addresses {
                Ok(addresses) => {
                    let checked = check_resolved(&host, addresses, &policy.allow);
                    found.extend(checked.err().map(|error| refused(one, error)));
                }
                Err(reason) => found.push(unresolved(one, &host, reason)),
            }
        }
    }
    if called.len() >= SUBSCRIBERS_MAX as usize {
        found.push(Finding::info(
            "endpoints_unchecked",
            format!("only the first {SUBSCRIBERS_MAX} subscribers were looked at"),
            "`tidings subscriber ping NAME` tries one of the others",
        ));
    }
    Ok(found)
}

fn endpoint(kind: &str, config: &Value, policy: &Policy) -> Result<Endpoint, EndpointError> {
    if kind == KIND {
        return Config::read(config)?.check(policy);
    }
    let url = config.get("url").and_then(Value::as_str).ok_or(EndpointError::NoUrl)?;
    Endpoint::parse(url, policy)
}

fn refused(one: &Called, error: EndpointError) -> Finding {
    let error = anyhow::Error::from(error);
    let what = format!("the endpoint of `{}` is refused: {}", one.name, chain(&error));
    let cure = judge(&error).1.unwrap_or_else(|| {
        let who = named(&one.tenant, &one.name);
        format!("give it another one: `tidings subscriber update {who} --url URL`")
    });
    Finding::warning("endpoint_refused", what, cure)
}

fn unresolved(one: &Called, host: &str, reason: &str) -> Finding {
    let who = named(&one.tenant, &one.name);
    Finding::warning(
        "endpoint_unresolved",
        format!("the host `{host}` of `{}` leads nowhere: {reason}", one.name),
        format!("repair its name, or give it another: `tidings subscriber update {who} --url URL`"),
    )
}

type Addresses = Result<Vec<IpAddr>, String>;

/// Looks the names up, some at a time.
async fn resolve(
    hosts: impl Iterator<Item = &String>,
    timeout: Duration,
) -> Vec<(String, Addresses)> {
    let mut lookups = JoinSet::new();
    let mut answers = Vec::new();
    for host in hosts {
        if lookups.len() >= LOOKUPS_MAX {
            answers.extend(lookups.join_next().await.and_then(Result::ok));
        }
        let host = host.clone();
        lookups.spawn(async move {
            let addresses = lookup(&host, timeout).await;
            (host, addresses)
        });
    }
    answers.extend(lookups.join_all().await);
    answers.sort_by(|one, other| one.0.cmp(&other.0));
    answers
}

async fn lookup(host: &str, timeout: Duration) -> Addresses {
    let looked_up = tokio::time::timeout(timeout, tokio::net::lookup_host((host, 443))).await;
    match looked_up {
        Ok(Ok(addresses)) => Ok(addresses.map(|address| address.ip()).collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", timeout.as_secs_f32())),
    }
}
