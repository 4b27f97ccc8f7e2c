//! `placementConstraints` and `placementStrategy`: what ECS is to go by, on EC2.

use super::super::form::{OneOf, Text};
use super::super::reader::Fields;
use super::super::shape::about;
use super::super::{PlacementConstraint, PlacementStrategy};

const CONSTRAINTS: OneOf<&str> =
    OneOf(&[("distinctInstance", "distinctInstance"), ("memberOf", "memberOf")]);

const STRATEGIES: OneOf<&str> =
    OneOf(&[("random", "random"), ("spread", "spread"), ("binpack", "binpack")]);

pub(super) fn read_constraints(launch: &mut Fields<'_>) -> Option<Vec<PlacementConstraint>> {
    let what = about("which instances may take tasks, not on Fargate").defaults_to("none");
    let constraints = launch.objects("placementConstraints", 0..=10, what)?;
    Some(constraints.into_iter().filter_map(read_constraint).collect())
}

/// Source: ECS API, `PlacementConstraint.expression`.
fn read_constraint(mut fields: Fields<'_>) -> Option<PlacementConstraint> {
    let kind = fields.required(
        "type",
        CONSTRAINTS,
        "each task on another instance, or what `expression` says",
    );
    let what = "what `memberOf` asks, in the cluster query language";
    let expression = fields.optional("expression", Text(2000), what);
    match (kind, fields.has("expression")) {
        (Some("memberOf"), false) => fields.problem("expression", "is missing; memberOf needs one"),
        (Some("distinctInstance"), true) => {
            fields.problem("expression", "is for memberOf; distinctInstance takes none");
        }
        _ => {}
    }
    fields.finish();
    Some(PlacementConstraint { kind: kind?.to_owned(), expression })
}

pub(super) fn read_strategy(launch: &mut Fields<'_>) -> Option<Vec<PlacementStrategy>> {
    let what = about("which instance comes first, not on Fargate").defaults_to("ECS's own");
    let strategies = launch.objects("placementStrategy", 0..=5, what)?;
    Some(strategies.into_iter().filter_map(read_one_strategy).collect())
}

/// Source: ECS API, `PlacementStrategy.field`.
fn read_one_strategy(mut fields: Fields<'_>) -> Option<PlacementStrategy> {
    let kind = fields.required("type", STRATEGIES, "as ECS defines it");
    let what = "what `spread` spreads over; `cpu` or `memory` for `binpack`";
    let field = fields.optional("field", Text(255), what);
    let is_packed = |field: &str| ["cpu", "memory"].iter().any(|f| field.eq_ignore_ascii_case(f));
    match (kind, field.as_deref()) {
        (Some("binpack"), None) if !fields.has("field") => {
            fields.problem("field", "is missing; binpack packs by `cpu` or `memory`");
        }
        (Some("binpack"), Some(other)) if !is_packed(other) => {
            fields.problem(
                "field",
                &format!("expected `cpu` or `memory` for binpack, got `{other}`"),
            );
        }
        _ => {}
    }
    fields.finish();
    Some(PlacementStrategy { kind: kind?.to_owned(), field })
}
