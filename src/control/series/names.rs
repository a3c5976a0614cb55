//! What is measured, of what, and in which unit.

use crate::{
    base::series::Fold,
    choice,
    model::{AppId, InstanceId, NodeId},
    numbers,
};

/// What something is measured of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    Cluster,
    Node(NodeId),
    Service(AppId),
    Instance(InstanceId),
}

choice!(Subject { 1: Cluster, 2: Node(it), 3: Service(it), 4: Instance(it) });

/// What is measured. Kept as whole numbers of a small part of its unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Measure {
    CpusUsed,
    CpusReserved,
    MemUsed,
    /// What it may use before it is ended.
    MemLimit,
    DiskUsed,
    /// Instances made anew after they had ended.
    Restarts,
    /// Of those ends, the ones at the memory limit.
    OomKills,
    /// Answered at the front door.
    Requests,
    /// Answers of 500 and more, a service that gives none included.
    Errors,
    LatencyP50,
    LatencyP99,
    /// Instances that run.
    Running,
}

numbers!(Measure {
    1: CpusUsed,
    2: CpusReserved,
    3: MemUsed,
    4: MemLimit,
    5: DiskUsed,
    6: Restarts,
    7: OomKills,
    8: Requests,
    9: Errors,
    10: LatencyP50,
    11: LatencyP99,
    12: Running,
});

impl Measure {
    pub const ALL: [Self; 12] = [
        Self::CpusUsed,
        Self::CpusReserved,
        Self::MemUsed,
        Self::MemLimit,
        Self::DiskUsed,
        Self::Restarts,
        Self::OomKills,
        Self::Requests,
        Self::Errors,
        Self::LatencyP50,
        Self::LatencyP99,
        Self::Running,
    ];

    /// As it is called outside.
    pub fn name(self) -> &'static str {
        match self {
            Self::CpusUsed => "cpus_used",
            Self::CpusReserved => "cpus_reserved",
            Self::MemUsed => "mem_used",
            Self::MemLimit => "mem_limit",
            Self::DiskUsed => "disk_used",
            Self::Restarts => "restarts",
            Self::OomKills => "oom_kills",
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::LatencyP50 => "latency_p50",
            Self::LatencyP99 => "latency_p99",
            Self::Running => "running",
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Self::CpusUsed | Self::CpusReserved => "cpus",
            Self::MemUsed | Self::MemLimit | Self::DiskUsed => "MiB",
            Self::Restarts | Self::OomKills | Self::Running => "count",
            Self::Requests | Self::Errors => "1/s",
            Self::LatencyP50 | Self::LatencyP99 => "ms",
        }
    }

    /// How many of what is kept are one of its unit.
    pub fn scale(self) -> f64 {
        match self {
            // KiB and microseconds; thousandths of processors and of rates.
            Self::MemUsed | Self::MemLimit | Self::DiskUsed => 1024.0,
            Self::CpusUsed
            | Self::CpusReserved
            | Self::Requests
            | Self::Errors
            | Self::LatencyP50
            | Self::LatencyP99 => 1000.0,
            Self::Restarts | Self::OomKills | Self::Running => 1.0,
        }
    }

    /// What becomes of several in one step.
    pub fn fold(self) -> Fold {
        match self {
            Self::Restarts | Self::OomKills => Fold::Sum,
            Self::LatencyP99 => Fold::Max,
            Self::CpusUsed
            | Self::CpusReserved
            | Self::MemUsed
            | Self::MemLimit
            | Self::DiskUsed
            | Self::Requests
            | Self::Errors
            | Self::LatencyP50
            | Self::Running => Fold::Mean,
        }
    }

    /// So much of its unit as it is kept; nothing for what is no number.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, as it should
    pub fn whole(self, number: f64) -> u64 {
        (number * self.scale()).round() as u64
    }

    /// What is kept in its unit, with no more digits than it has.
    pub fn value(self, kept: u64) -> f64 {
        let value = kept as f64 / self.scale();
        if value == 0.0 {
            return 0.0;
        }
        // A number is kept to one part in 4,096: four digits say all.
        let digits = (3.0 - value.abs().log10().floor()).clamp(0.0, 4.0);
        let unit = 10_f64.powf(digits);
        (value * unit).round() / unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_with_the_digits_they_have() {
        for (measure, number, told) in [
            (Measure::CpusUsed, 0.0123, 0.012),
            (Measure::CpusUsed, 12.3456, 12.35),
            (Measure::MemUsed, 1234.567, 1235.0),
            (Measure::MemUsed, 33.25, 33.25),
            (Measure::Requests, 0.2, 0.2),
            (Measure::LatencyP99, 1.2344, 1.234),
            (Measure::Restarts, 17.0, 17.0),
            (Measure::CpusUsed, f64::NAN, 0.0),
            (Measure::CpusUsed, -1.0, 0.0),
        ] {
            let back = measure.value(measure.whole(number));
            assert!((back - told).abs() < 1e-9, "{measure:?} {number}: {back}");
        }
    }
}
