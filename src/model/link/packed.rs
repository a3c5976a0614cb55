//! Orders as they travel: each definition once a message, however many instances are made from it.

use std::{collections::HashMap, sync::Arc};

use super::{Desired, Mounted, Order};
use crate::{
    base::{
        clock::Timestamp,
        wire::{self, Element, Field, Message, Value, WireError},
    },
    message,
    model::{
        instance::{InstanceId, KillReason, Placement},
        path::PathId,
        workload::{RunSpec, TaskSpec},
    },
};

/// What should be there, with the definitions apart from the orders.
#[derive(Clone, Debug)]
struct Packed {
    full: bool,
    specs: Vec<TaskSpec>,
    orders: Vec<PackedOrder>,
    forget: Vec<InstanceId>,
}

/// An order with the place of its definition.
#[derive(Clone, Debug)]
struct PackedOrder {
    spec: u32,
    instance: InstanceId,
    incarnation: u32,
    placement: Placement,
    kill: Option<KillReason>,
    enforce_role: bool,
    volumes: Vec<Mounted>,
}

message!(Packed { 1: full, 2: specs, 3: orders, 4: forget });
message!(PackedOrder {
    1: spec,
    2: instance,
    3: incarnation,
    4: placement,
    5: kill,
    6: enforce_role,
    7: volumes,
});

impl PackedOrder {
    fn new(order: &Order, spec: u32) -> Self {
        Self {
            spec,
            instance: order.instance.clone(),
            incarnation: order.incarnation,
            placement: order.placement.clone(),
            kill: order.kill.clone(),
            enforce_role: order.enforce_role,
            volumes: order.volumes.clone(),
        }
    }
}

/// Bytes a definition takes in a message.
pub fn spec_bytes(spec: &TaskSpec) -> usize {
    wire::encode(spec).len()
}

/// Bytes an order takes in a message beside its definition, at most.
pub fn order_bytes(order: &Order) -> usize {
    wire::encode_one(&PackedOrder::new(order, u32::MAX)).len()
}

/// What two definitions have in common that are one: told without a look at what they hold.
pub type Same<'a> = (*const RunSpec, Timestamp, &'a PathId);

pub fn same(spec: &TaskSpec) -> Same<'_> {
    (Arc::as_ptr(&spec.run), spec.version, &spec.id)
}

impl<'a> From<&'a Desired> for Packed {
    fn from(desired: &'a Desired) -> Self {
        let mut specs = Vec::new();
        let mut places: HashMap<Same<'_>, u32> = HashMap::new();
        let mut place_of = |spec: &'a TaskSpec| {
            *places.entry(same(spec)).or_insert_with(|| {
                specs.push(spec.clone());
                u32::try_from(specs.len() - 1).unwrap_or(u32::MAX)
            })
        };
        let orders = desired.orders.iter();
        let orders = orders.map(|order| PackedOrder::new(order, place_of(&order.spec))).collect();
        Self { full: desired.full, specs, orders, forget: desired.forget.clone() }
    }
}

impl TryFrom<Packed> for Desired {
    type Error = WireError;

    fn try_from(packed: Packed) -> Result<Self, WireError> {
        let Packed { full, specs, orders, forget } = packed;
        let orders = orders.into_iter().map(|order| {
            let spec = usize::try_from(order.spec).ok().and_then(|place| specs.get(place));
            let spec = spec.ok_or(WireError::Missing { of: "order", field: "spec" })?.clone();
            let PackedOrder {
                instance, incarnation, placement, kill, enforce_role, volumes, ..
            } = order;
            Ok(Order { instance, incarnation, spec, placement, kill, enforce_role, volumes })
        });
        Ok(Self { full, orders: orders.collect::<Result<_, WireError>>()?, forget })
    }
}

impl Value for Desired {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        wire::put_message(number, &Packed::from(self), out);
    }

    fn absent() -> Option<Self> {
        None
    }

    fn merge(slot: &mut Option<Self>, field: &Field<'_>) -> Result<(), WireError> {
        *slot = Some(Packed::read(field.bytes(Packed::NAME)?)?.try_into()?);
        Ok(())
    }
}

impl Element for Desired {}

#[cfg(test)]
impl wire::sample::Sample for Desired {
    fn sample(rng: &mut crate::base::rng::Rng) -> Self {
        use wire::sample::Sample;
        Self { full: Sample::sample(rng), orders: Sample::sample(rng), forget: Sample::sample(rng) }
    }
}
