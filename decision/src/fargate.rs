//! Fargate's task sizes and prices, each with its source. Pure.
//!
//! Sizes: ECS developer guide, "Fargate task size" and `RegisterTaskDefinition` (`cpu`, `memory`).
//! Prices: <https://aws.amazon.com/fargate/pricing/>, On-Demand, read 2026-09-10 (Tokyo ARM 2026-07-07,
//! Windows and disks 2026-11-26). They are used to compare sizes and to tell about what a launch costs; the bill is
//! AWS's.

use std::fmt;

use serde::Serialize;

use crate::units::{CpuUnits, GibiBytes, MebiBytes, Region};

/// The CPU and memory of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TaskSize {
    /// Task-level CPU.
    pub cpu: CpuUnits,
    /// Task-level memory.
    pub memory: MebiBytes,
}

/// The operating system family of a task: it decides which rows of the table are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatingSystem {
    /// Every row.
    Linux,
    /// One to four vCPU.
    Windows,
}

/// What decides the price of a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Windows costs a licence.
    pub system: OperatingSystem,
    /// ARM costs less.
    pub architecture: Architecture,
}

impl Platform {
    const LINUX_X86: Self =
        Self { system: OperatingSystem::Linux, architecture: Architecture::X86 };
    const LINUX_ARM: Self =
        Self { system: OperatingSystem::Linux, architecture: Architecture::Arm };
    const WINDOWS: Self =
        Self { system: OperatingSystem::Windows, architecture: Architecture::X86 };
}

/// The CPU architecture of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// `X86_64`, ECS's default.
    X86,
    /// `ARM64`.
    Arm,
}

/// One row of the table: the memory that goes with a CPU value.
struct Row {
    cpu: u32,
    memory: Memory,
    windows: bool,
}

/// Memory values in MiB.
enum Memory {
    List(&'static [u32]),
    Steps { from: u32, to: u32, step: u32 },
}

const fn steps(from: u32, to: u32, step: u32) -> Memory {
    Memory::Steps { from, to, step }
}

/// Every legal size, smallest CPU first. The last row has no step between its values, and needs
/// Linux platform version 1.4.0 or later.
const ROWS: [Row; 8] = [
    Row { cpu: 256, memory: Memory::List(&[512, 1024, 2048]), windows: false },
    Row { cpu: 512, memory: steps(1024, 4096, 1024), windows: false },
    Row { cpu: 1024, memory: steps(2048, 8192, 1024), windows: true },
    Row { cpu: 2048, memory: steps(4096, 16384, 1024), windows: true },
    Row { cpu: 4096, memory: steps(8192, 30720, 1024), windows: true },
    Row { cpu: 8192, memory: steps(16384, 61440, 4096), windows: false },
    Row { cpu: 16384, memory: steps(32768, 122_880, 8192), windows: false },
    Row { cpu: 32768, memory: Memory::List(&[61440, 122_880, 249_856]), windows: false },
];

impl Memory {
    /// The least value of the row that holds `needed`.
    fn at_least(&self, needed: u32) -> Option<u32> {
        match self {
            Self::List(values) => values.iter().copied().find(|value| needed <= *value),
            Self::Steps { from, to, step } => {
                let above = needed.saturating_sub(*from).div_ceil(*step);
                Some(from.saturating_add(above.saturating_mul(*step))).filter(|size| size <= to)
            }
        }
    }
}

impl TaskSize {
    /// The next legal Fargate size: least CPU first, then least memory. That is also the cheapest
    /// one, as no row with more CPU has finer memory steps. `None` when no row holds it.
    #[must_use]
    pub fn rounded_up(self, system: OperatingSystem) -> Option<Self> {
        ROWS.iter()
            .filter(|row| row.windows || system == OperatingSystem::Linux)
            .filter(|row| self.cpu.0 <= row.cpu)
            .find_map(|row| Some((row.cpu, row.memory.at_least(self.memory.0)?)))
            .map(|(cpu, memory)| Self { cpu: CpuUnits(cpu), memory: MebiBytes(memory) })
    }

    /// Whether Fargate has exactly this size.
    #[must_use]
    pub fn is_legal(self, system: OperatingSystem) -> bool {
        self.rounded_up(system) == Some(self)
    }
}

impl fmt::Display for TaskSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} CPU units, {} MiB", self.cpu, self.memory)
    }
}

/// Millionths of a US dollar an hour: whole numbers, so that sums of prices compare exactly.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct MicroDollars(pub u64);

impl MicroDollars {
    /// The price of so many tasks of this price.
    #[must_use]
    pub fn times(self, tasks: u32) -> Self {
        Self(self.0.saturating_mul(u64::from(tasks)))
    }

    /// Whether it is at least a tenth less than the other.
    #[must_use]
    pub fn is_a_tenth_below(self, other: Self) -> bool {
        self.0.saturating_mul(10) <= other.0.saturating_mul(9)
    }

    /// Whether it is more than a tenth above the other.
    #[must_use]
    pub fn is_more_than_a_tenth_above(self, other: Self) -> bool {
        other.0.saturating_mul(11) < self.0.saturating_mul(10)
    }

    /// The sum of two prices.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for MicroDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:04}", self.0 / 1_000_000, self.0 % 1_000_000 / 100)
    }
}

/// What an hour of Fargate On-Demand costs in one Region on one platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceList {
    /// The Region whose prices these are.
    pub region: &'static str,
    /// Micro-dollars an hour of one vCPU, with its licence.
    vcpu: u64,
    /// Micro-dollars an hour of one GB.
    gigabyte: u64,
    /// Micro-dollars an hour of one GB of disk beyond [`FREE_STORAGE`].
    storage: u64,
}

/// Every task has so much disk for nothing. Source: as for the prices, "Ephemeral storage".
const FREE_STORAGE: GibiBytes = GibiBytes(20);

const fn list(region: &'static str, vcpu: u64, gigabyte: u64, storage: u64) -> PriceList {
    PriceList { region, vcpu, gigabyte, storage }
}

/// Of each platform the first list is that of `us-east-1`. A vCPU of Windows is $0.046552 and $0.046
/// for its licence.
const PRICES: [(Platform, PriceList); 5] = [
    (Platform::LINUX_X86, list("us-east-1", 40_480, 4_445, 111)),
    (Platform::LINUX_ARM, list("us-east-1", 32_380, 3_560, 111)),
    (Platform::WINDOWS, list("us-east-1", 46_552 + 46_000, 5_112, 111)),
    (Platform::LINUX_X86, list("ap-northeast-1", 50_560, 5_530, 133)),
    (Platform::LINUX_ARM, list("ap-northeast-1", 40_450, 4_420, 133)),
];

impl PriceList {
    /// The list of the Region, else that of `us-east-1`: the sizes compare much the same
    /// everywhere, and [`PriceList::region`] says whose list it is.
    #[must_use]
    pub fn of(region: &Region, platform: Platform) -> Self {
        let lists = || PRICES.iter().filter(|(of, _)| *of == platform).map(|(_, l)| *l);
        let [(_, fallback), ..] = PRICES;
        lists()
            .find(|list| list.region == region.as_str())
            .or_else(|| lists().next())
            .unwrap_or(fallback)
    }

    /// The price of one task of this size for an hour, rounded up.
    #[must_use]
    pub fn hourly(self, size: TaskSize) -> MicroDollars {
        let cpu = u64::from(size.cpu.0).saturating_mul(self.vcpu);
        let memory = u64::from(size.memory.0).saturating_mul(self.gigabyte);
        MicroDollars(cpu.saturating_add(memory).div_ceil(1024))
    }

    /// What a task's disk adds to that.
    #[must_use]
    pub fn hourly_storage(self, storage: GibiBytes) -> MicroDollars {
        MicroDollars(u64::from(storage.minus(FREE_STORAGE).0).saturating_mul(self.storage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn size(cpu: u32, memory: u32) -> TaskSize {
        TaskSize { cpu: CpuUnits(cpu), memory: MebiBytes(memory) }
    }

    /// Written out from AWS's table, not from `ROWS`.
    #[test]
    fn sizes_round_up_to_the_documented_table() {
        let cases = [
            (size(0, 0), Some(size(256, 512))),
            (size(256, 513), Some(size(256, 1024))),
            (size(256, 1025), Some(size(256, 2048))),
            (size(256, 2049), Some(size(512, 3072))),
            (size(257, 512), Some(size(512, 1024))),
            (size(512, 4097), Some(size(1024, 5120))),
            (size(1024, 8193), Some(size(2048, 9216))),
            (size(4096, 30_720), Some(size(4096, 30_720))),
            (size(4096, 30_721), Some(size(8192, 32_768))),
            (size(8192, 16_385), Some(size(8192, 20_480))),
            (size(16_384, 122_880), Some(size(16_384, 122_880))),
            (size(16_385, 1), Some(size(32_768, 61_440))),
            (size(32_768, 122_881), Some(size(32_768, 249_856))),
            (size(32_768, 249_857), None),
            (size(32_769, 1), None),
        ];
        for (needed, expected) in cases {
            assert_eq!(needed.rounded_up(OperatingSystem::Linux), expected, "{needed}");
        }
    }

    #[test]
    fn windows_has_one_to_four_vcpu() {
        let rounded = |cpu, memory| size(cpu, memory).rounded_up(OperatingSystem::Windows);
        assert_eq!(rounded(256, 512), Some(size(1024, 2048)));
        assert_eq!(rounded(4096, 30_721), None);
    }

    #[test]
    fn a_task_is_priced_from_its_regions_list() {
        let tokyo = PriceList::of(&Region::from("ap-northeast-1"), Platform::LINUX_X86);
        assert_eq!(tokyo.hourly(size(1024, 2048)), MicroDollars(50_560 + 2 * 5_530));
        let elsewhere = PriceList::of(&Region::from("eu-central-1"), Platform::LINUX_ARM);
        assert_eq!(elsewhere.region, "us-east-1");
        assert_eq!(elsewhere.hourly(size(256, 512)).to_string(), "$0.0098");
    }

    #[test]
    fn windows_has_its_own_prices_with_the_licence() {
        let windows = PriceList::of(&Region::from("us-east-1"), Platform::WINDOWS);
        // Four vCPU at $0.092552 and 16 GB at $0.005112.
        assert_eq!(windows.hourly(size(4096, 16_384)).0, 4 * 92_552 + 16 * 5_112);
    }

    #[test]
    fn a_disk_of_twenty_gigabytes_is_free() {
        let list = PriceList::of(&Region::from("us-east-1"), Platform::LINUX_X86);
        assert_eq!(list.hourly_storage(GibiBytes(20)), MicroDollars(0));
        assert_eq!(list.hourly_storage(GibiBytes(120)), MicroDollars(11_100));
    }

    proptest! {
        #[test]
        fn rounding_up_is_legal_enough_and_cheapest(cpu in 0_u32..33_000, memory in 0_u32..250_000) {
            let needed = size(cpu, memory);
            let legal = ROWS.iter().flat_map(|row| {
                (512..=249_856).step_by(512).map(|memory| size(row.cpu, memory))
            });
            let prices = PriceList::of(&Region::from("us-east-1"), Platform::LINUX_X86);
            let cheapest = legal
                .filter(|s| s.is_legal(OperatingSystem::Linux))
                .filter(|s| needed.cpu <= s.cpu && needed.memory <= s.memory)
                .min_by_key(|s| prices.hourly(*s));
            prop_assert_eq!(needed.rounded_up(OperatingSystem::Linux), cheapest);
        }
    }
}
