//! Rows of apps: what people read there, and can use.

use std::{collections::BTreeSet, net::IpAddr};

use serde_json::json;

use super::*;
use crate::{
    api::view::tests::Story,
    core::{
        apply::tests::world::app,
        naming::{Sink, tasks},
    },
    model::names::Realm,
};

#[test]
fn ports_and_labels_are_shown_as_people_use_them() {
    let mut spec = app("/a", 1);
    let row = |spec: &WorkloadSpec| Story::running(spec.clone()).row();
    let vip = |label: &str| {
        let mut spec = spec.clone();
        spec.run_mut().containers[0].ports[0].labels.insert("VIP_0".into(), label.into());
        row(&spec)["ports"][0]["vip"].clone()
    };
    let zone = "marathon.l4lb.thisdcos.directory";
    assert_eq!(vip("/web:80"), format!("web.{zone}:80"));
    assert_eq!(vip("/shop/web:80"), format!("shopweb.{zone}:80"));
    assert_eq!(vip("web"), format!("web.{zone}"));
    assert_eq!(vip("10.1.2.3:80"), "10.1.2.3:80");
    let mut url = |name: &str| {
        let labels = &mut spec.run_mut().labels;
        labels.insert("DCOS_SERVICE_NAME".into(), name.into());
        labels.insert("DCOS_SERVICE_PORT_INDEX".into(), "0".into());
        let partial = row(&spec).get("service_url").cloned();
        spec.run_mut().labels.insert("DCOS_SERVICE_SCHEME".into(), "http".into());
        let whole = row(&spec).get("service_url").cloned();
        spec.run_mut().labels.clear();
        (partial, whole)
    };
    assert_eq!(url("/n1/web/"), (None, Some(json!("/service/n1/web/"))));
    assert_eq!(url(" web "), (None, Some(json!("/service/web/"))), "as the front door reads it");
    assert_eq!(url("/"), (None, None), "no name is no service");
}

#[test]
fn long_commands_are_cut_between_characters() {
    let cmd = |n: usize| {
        let mut spec = app("/a", 0);
        spec.run_mut().containers[0].command =
            crate::model::container::Command::Shell("ü".repeat(n));
        Story::running(spec).row()["cmd"].as_str().unwrap().to_owned()
    };
    assert_eq!(cmd(200), "ü".repeat(200));
    assert_eq!(cmd(201), format!("{}…", "ü".repeat(200)));
}

#[test]
fn lists_are_narrowed_by_what_people_remember() {
    let mut spec = app("/shop/web", 0);
    spec.run_mut().labels.insert("team".into(), "blue".into());
    let story = Story::running(spec);
    let id = AppId::parse("/shop/web");
    for (q, labels, wanted) in [
        ("", &[][..], true),
        ("shop", &[], true),
        ("sleep 1", &[], true),
        ("db", &[], false),
        ("", &["team"], true),
        ("", &["team=blue"], true),
        ("", &["team=red"], false),
        ("", &["team=blue", "tier"], false),
        ("web", &["team="], false),
    ] {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        assert_eq!(matches(&story.w.state, &id, q, &labels), wanted, "{q} {labels:?}");
    }
    assert!(!matches(&story.w.state, &AppId::parse("/x"), "", &[]));
}

/// The names that have an address.
#[derive(Default)]
struct Names(Vec<String>, BTreeSet<String>);

impl Sink for Names {
    type Name = usize;

    fn name(&mut self, text: &str) -> usize {
        self.0.push(text.to_owned());
        self.0.len() - 1
    }

    fn address(&mut self, owner: usize, _: IpAddr) {
        self.1.insert(self.0[owner].clone());
    }

    fn service(&mut self, _: usize, _: u16, _: usize) {}
}

#[test]
fn the_names_that_are_shown_are_those_that_answer() {
    let long = format!("/{}/{}", "g".repeat(40), "a".repeat(40));
    for id in ["/web", "/shop/web", "/shop/web.v2", "/a.b/c-d", long.as_str()] {
        let w = Story::running(app(id, 1)).w;
        let mut names = Names::default();
        tasks::records(&w.state, &Realm::default(), &mut names);
        for shown in dns_names(&AppId::parse(id)) {
            assert!(names.1.contains(&shown), "{id}: {shown} is none of {:?}", names.1);
        }
    }
}
