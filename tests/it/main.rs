//! The whole through its public interface, in one test crate.

// Whole ticks inside of whole tests are deeply nested futures.
#![recursion_limit = "256"]

#[cfg(test)]
mod alone;
#[cfg(test)]
#[cfg(feature = "cli")]
mod cli;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod days;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod events;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod floor;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod instances;
#[cfg(test)]
mod keda;
#[cfg(test)]
mod links;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod model;
#[cfg(test)]
mod newcomers;
#[cfg(test)]
mod placement;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod template;
#[cfg(test)]
mod tick;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod watcher;
#[cfg(test)]
mod world;
