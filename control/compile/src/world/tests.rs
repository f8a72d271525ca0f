use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::registry::RegistryService;
use crate::scatter::object;

/// A world that holds the same objects, and has known no others.
fn fresh(world: &World) -> World {
    let mut fresh = World::new(world.settings().clone());
    for object in world.objects() {
        fresh.apply(object.clone());
    }
    fresh
}

#[test]
fn a_changed_world_is_as_a_new_one() {
    for seed in 0..20 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut world = World::new(Settings::default());
        for step in 0..60 {
            let next = object(&mut random);
            match random.random_bool(0.3) {
                true => drop(world.delete(&next.key)),
                false => drop(world.apply(next)),
            }
            let fresh = fresh(&world);
            let services = |world: &World| -> Vec<RegistryService> { world.registry().services().cloned().collect() };
            assert_eq!(services(&world), services(&fresh), "seed {seed}, step {step}");
            for (one, other) in [
                (&world.index().virtual_services, &fresh.index().virtual_services),
                (&world.index().destination_rules, &fresh.index().destination_rules),
            ] {
                assert!(one.all().eq(other.all()), "seed {seed}, step {step}: {one:?}, not {other:?}");
            }
        }
    }
}

#[test]
fn a_change_touches_its_services_and_no_others() {
    let mut world = World::new(Settings::default());
    let text = |name: &str, ip: u8| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}\n\
             ---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec: {{containers: []}}\nstatus: {{podIP: 10.0.0.{ip}}}\n"
        )
    };
    let put = |world: &mut World, text: &str| {
        for object in orrery_api::parse(text, "test.yaml", "a").unwrap() {
            world.apply(object);
        }
    };
    put(&mut world, &text("one", 1));
    put(&mut world, &text("two", 2));
    world.take_touched();
    put(&mut world, &text("two", 3));
    let touched = world.take_touched().facts;
    let host = "two.a.svc.cluster.local".to_owned();
    for (fact, expected) in [
        (Fact::Endpoints(host.clone()), true),
        (Fact::Service(host), false),
        (Fact::Services, false),
        (Fact::Endpoints("one.a.svc.cluster.local".to_owned()), false),
        (Fact::Address([10, 0, 0, 2].into()), true),
        (Fact::Address([10, 0, 0, 3].into()), true),
        (Fact::Address([10, 0, 0, 1].into()), false),
    ] {
        assert_eq!(touched.contains(&fact), expected, "{fact:?} in {touched:?}");
    }
}
