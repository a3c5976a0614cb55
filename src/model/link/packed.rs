//! Orders as they travel: each definition once a message, however many instances are made from it.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Desired, Order};
use crate::model::{
    instance::{InstanceId, KillReason, Placement},
    workload::WorkloadSpec,
};

#[derive(Serialize)]
struct Packing<'a> {
    full: bool,
    specs: Vec<&'a WorkloadSpec>,
    orders: Vec<(usize, Rest<'a>)>,
    forget: &'a [InstanceId],
}

/// An order without its definition.
#[derive(Serialize)]
struct Rest<'a> {
    instance: &'a InstanceId,
    incarnation: u32,
    placement: &'a Placement,
    kill: &'a Option<KillReason>,
    enforce_role: bool,
}

#[derive(Deserialize)]
struct Packed {
    full: bool,
    specs: Vec<Arc<WorkloadSpec>>,
    orders: Vec<(usize, RestOwned)>,
    forget: Vec<InstanceId>,
}

#[derive(Deserialize)]
struct RestOwned {
    instance: InstanceId,
    incarnation: u32,
    placement: Placement,
    kill: Option<KillReason>,
    enforce_role: bool,
}

fn rest(order: &Order) -> Rest<'_> {
    Rest {
        instance: &order.instance,
        incarnation: order.incarnation,
        placement: &order.placement,
        kill: &order.kill,
        enforce_role: order.enforce_role,
    }
}

/// Bytes a definition takes in a message.
pub fn spec_bytes(spec: &WorkloadSpec) -> usize {
    n_bytes(spec)
}

/// Bytes an order takes in a message beside its definition.
pub fn order_bytes(order: &Order) -> usize {
    n_bytes(&rest(order))
}

fn n_bytes<T: Serialize>(value: &T) -> usize {
    postcard::serialize_with_flavor(value, postcard::ser_flavors::Size::default())
        .unwrap_or(usize::MAX)
}

impl Serialize for Desired {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut specs: Vec<&WorkloadSpec> = Vec::new();
        let mut places: HashMap<*const WorkloadSpec, usize> = HashMap::new();
        let mut orders = Vec::with_capacity(self.orders.len());
        for order in &self.orders {
            let place = *places.entry(Arc::as_ptr(&order.spec)).or_insert_with(|| {
                specs.push(&order.spec);
                specs.len() - 1
            });
            orders.push((place, rest(order)));
        }
        Packing { full: self.full, specs, orders, forget: &self.forget }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Desired {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Packed { full, specs, orders, forget } = Packed::deserialize(from)?;
        let orders = orders.into_iter().map(|(place, rest)| {
            let spec = specs.get(place).cloned();
            let RestOwned { instance, incarnation, placement, kill, enforce_role } = rest;
            let spec = spec.ok_or_else(|| D::Error::custom("an order without its definition"))?;
            Ok(Order { instance, incarnation, spec, placement, kill, enforce_role })
        });
        Ok(Self { full, orders: orders.collect::<Result<_, D::Error>>()?, forget })
    }
}
