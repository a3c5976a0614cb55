//! Resources in both of the old shapes: an object of totals, and a list that names reservations.

use std::fmt::Write as _;

use super::json::Json;
use crate::{
    base::units::Milli,
    model::{Pools, Ranges, Resources, Role, resource::Value},
};

/// `{"cpus":…,"gpus":…,"mem":…,"disk":…,"ports":"[…]"}`; the four numbers always, others when there.
pub fn totals(j: &mut Json<'_>, name: &str, resources: &Resources) {
    j.object_at(name, |j| {
        numbers(j, resources);
        if !resources.ports.is_empty() {
            j.text_at("ports", &ranges(&resources.ports));
        }
        for (name, value) in &resources.named {
            match value {
                Value::Scalar(n) => j.quantity_at(name, *n),
                Value::Ranges(r) => j.text_at(name, &ranges(r)),
                Value::Set(items) => {
                    let items: Vec<&str> = items.iter().map(|i| &**i).collect();
                    j.text_at(name, &format!("{{{}}}", items.join(", ")));
                }
            }
        }
    });
}

/// The four numbers as fields of the present object.
pub fn numbers(j: &mut Json<'_>, resources: &Resources) {
    let s = &resources.scalars;
    for (name, value) in [("disk", s.disk), ("mem", s.mem), ("gpus", s.gpus), ("cpus", s.cpus)] {
        j.quantity_at(name, value);
    }
}

/// Everything of all roles together.
pub fn sum(pools: &Pools) -> Resources {
    let mut all = Resources::default();
    pools.0.values().for_each(|r| all.add(r));
    all
}

/// `[31000-31005, 31010-31010]`.
pub fn ranges(ranges: &Ranges) -> String {
    let mut text = String::from("[");
    for (at, (begin, end)) in ranges.iter().enumerate() {
        // Writing into a text cannot fail.
        write!(text, "{}{begin}-{end}", if at == 0 { "" } else { ", " }).ok();
    }
    text.push(']');
    text
}

/// The elements of a list of `Resource` objects, for one role.
pub fn elements(j: &mut Json<'_>, role: &Role, resources: &Resources) {
    let s = &resources.scalars;
    for (name, value) in [("cpus", s.cpus), ("gpus", s.gpus), ("mem", s.mem), ("disk", s.disk)] {
        if !value.is_zero() {
            element(j, name, role, "SCALAR", |j| scalar(j, value));
        }
    }
    if !resources.ports.is_empty() {
        element(j, "ports", role, "RANGES", |j| range_list(j, &resources.ports));
    }
    for (name, value) in &resources.named {
        match value {
            Value::Scalar(n) => element(j, name, role, "SCALAR", |j| scalar(j, *n)),
            Value::Ranges(r) => element(j, name, role, "RANGES", |j| range_list(j, r)),
            Value::Set(items) => element(j, name, role, "SET", |j| {
                j.object_at("set", |j| {
                    j.list_at("item", |j| items.iter().for_each(|i| j.text(i)));
                });
            }),
        }
    }
}

fn element(
    j: &mut Json<'_>,
    name: &str,
    role: &Role,
    kind: &str,
    value: impl FnOnce(&mut Json<'_>),
) {
    j.object(|j| {
        j.text_at("name", name);
        j.text_at("type", kind);
        value(j);
        j.text_at("role", role.as_str());
        if !role.is_star() {
            j.list_at("reservations", |j| {
                j.object(|j| {
                    j.text_at("type", "STATIC");
                    j.text_at("role", role.as_str());
                });
            });
        }
    });
}

/// The value of a scalar as a field of the present object.
pub fn scalar(j: &mut Json<'_>, value: Milli) {
    j.object_at("scalar", |j| j.quantity_at("value", value));
}

fn range_list(j: &mut Json<'_>, ranges: &Ranges) {
    j.object_at("ranges", |j| {
        j.list_at("range", |j| {
            for (begin, end) in ranges.iter() {
                j.object(|j| {
                    j.int_at("begin", begin);
                    j.int_at("end", end);
                });
            }
        });
    });
}
