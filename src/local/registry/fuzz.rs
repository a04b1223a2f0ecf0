//! The ways in for fuzz targets.
//!
//! What strangers write and the registry reads: policy documents, judged for every
//! action of MQTT, and queries of fleet indexing, asked of a thing. Both must return
//! whatever they are given, and soon. Nothing of this is part of the cloud.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use iotstack_local_kernel::Timestamp;
use serde_json::Value;

use crate::index::{self, Configuration, Connectivity, Document, Indexed, ThingIndexing};
use crate::policy::{self, Action, Env, Judge, Request};
use crate::state::Thing;

/// Judges a policy document, up to the first NUL, for a topic, which is the rest.
pub fn policy(data: &[u8]) {
    let Some((document, topic)) = texts(data) else { return };
    let Ok(document) = policy::Document::parse_new(document) else { return };
    let thing = thing();
    let connect = policy::Connect { persistent: true, last_will: Some(Box::from(topic)) };
    let env = Env {
        client_id: Some("pump-1"),
        source: Some(IpAddr::from([127, 0, 0, 1])),
        thing: Some(&thing),
        mqtt: true,
        certificate_id: Some("c0ffee"),
        certificate: Some(topic.as_bytes()),
        connect: Some(&connect),
        now: NOW,
    };
    // As a connection, and as a request over HTTP that has no values at all.
    for env in [env, Env { now: NOW, ..Env::default() }] {
        let judge = Judge::new(std::iter::once(&document), &env);
        for action in Action::ALL {
            let _ = judge.judge(Request::Mqtt(action, topic), PREFIX, NOW);
        }
        let _ = judge.judge(Request::Named("iot:GetThingShadow", topic), PREFIX, NOW);
    }
}

/// Asks a query, up to the first NUL, of a thing whose shadow is the rest.
pub fn query(data: &[u8]) {
    let Some((query, shadow)) = texts(data) else { return };
    let Ok(query) = index::parse(query) else { return };
    let shadow: Arc<Value> = Arc::new(serde_json::from_str(shadow).unwrap_or_default());
    let mut indexed = Indexed {
        connectivity: Some(Connectivity { connected: true, at: NOW, reason: None }),
        ..Indexed::default()
    };
    indexed.learn(None, shadow.clone());
    indexed.learn(Some(Arc::from("named")), shadow);
    let thing = thing();
    let configuration = Configuration {
        thing_indexing_configuration: ThingIndexing {
            thing_indexing_mode: "REGISTRY_AND_SHADOW".to_owned(),
            thing_connectivity_indexing_mode: "STATUS".to_owned(),
            ..ThingIndexing::default()
        },
        ..Configuration::default()
    };
    let document =
        Document { thing: &thing, indexed: Some(&indexed), configuration: &configuration };
    let _ = query.fits(&document);
    let _ = document.show();
}

fn texts(data: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(data).ok()?;
    Some(text.split_once('\0').unwrap_or((text, "")))
}

fn thing() -> Thing {
    Thing {
        name: Arc::from("pump-1"),
        id: "00000000-0000-4000-8000-000000000000".to_owned(),
        thing_type: Some(Arc::from("pump")),
        attributes: BTreeMap::from([("floor".to_owned(), "3".to_owned())]),
        version: 1,
        billing_group: None,
        groups: [Arc::from("hall")].into(),
        principals: [].into(),
    }
}

const NOW: Timestamp = Timestamp(1_767_225_600_000);
const PREFIX: &str = "arn:aws:iot:eu-central-1:123456789012:";
