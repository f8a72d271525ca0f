use orrery_api::Labels;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::compile::compile;
use crate::proxy::{Interception, Proof, Secrets};
use crate::scatter::object;
use crate::settings::Settings;

fn proxies() -> Vec<Proxy> {
    let proxy = |kind, namespace: &str, octet, labels: &[(&str, &str)], interception| Proxy {
        id: format!("p{octet}.{namespace}"),
        kind,
        address: [10, 1, 0, octet].into(),
        namespace: namespace.to_owned(),
        service_account: "sa0".to_owned(),
        workload: format!("p{octet}"),
        labels: Labels(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()),
        cluster_id: "Kubernetes".to_owned(),
        interception,
        app_address: Some([127, 0, 0, octet].into()),
        secrets: Secrets::Stream,
        proof: Proof::Proved,
    };
    use Interception::{None, Redirect};
    use ProxyKind::{Router, Sidecar};
    vec![
        proxy(Sidecar, "a", 0, &[("app", "x")], None),
        proxy(Sidecar, "a", 1, &[("app", "y"), ("version", "v1")], Redirect),
        proxy(Sidecar, "a", 2, &[("app", "x"), ("other", "z")], Redirect),
        proxy(Sidecar, "b", 3, &[("app", "x")], Redirect),
        proxy(Router, "istio-system", 4, &[("istio", "gateway")], None),
        proxy(Router, "a", 5, &[("istio", "gateway")], Redirect),
    ]
}

/// Names and versions of what is in a set.
fn versions(set: &ResourceSet) -> Vec<(ResourceType, String, String)> {
    let all = ResourceType::ALL.into_iter().flat_map(|kind| set.iter(kind).map(move |one| (kind, one)));
    all.map(|(kind, (name, resource))| (kind, name.to_string(), resource.version.to_string())).collect()
}

fn compiled(world: &World, proxy: &Proxy) -> Vec<(ResourceType, String, String)> {
    let compiled = compile(world, proxy);
    let all = ResourceType::ALL.into_iter().filter_map(|kind| Some((kind, compiled.resources.get(kind.type_url())?)));
    let all = all.flat_map(|(kind, resources)| resources.iter().map(move |(name, one)| (kind, name, one)));
    all.map(|(kind, name, resource)| (kind, name.clone(), resource.version.to_string())).collect()
}

/// After any change, what was compiled change by change is what is compiled at once, nobody was told of what is as it was,
/// and everybody was told of what is not.
#[test]
fn compiling_changes_is_as_compiling_everything() {
    for seed in 0..8 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut world = World::new(Settings::default());
        let mut compiler = Compiler::default();
        let mut sets: BTreeMap<ProxyId, (Proxy, ResourceSet)> = BTreeMap::new();
        for step in 0..50 {
            if random.random_bool(0.2) {
                let id = ProxyId(random.random_range(0..6));
                let proxy = proxies()[usize::try_from(id.0).unwrap()].clone();
                compiler.update(&mut world, step);
                sets.insert(id, (proxy.clone(), compiler.connect(&world, id, proxy, step)));
            }
            for _ in 0..random.random_range(1..4) {
                let next = object(&mut random);
                match random.random_bool(0.3) {
                    true => drop(world.delete(&next.key)),
                    false => drop(world.apply(next)),
                }
            }
            for publication in compiler.update(&mut world, step) {
                let (_, set) = sets.get_mut(&publication.proxy).unwrap();
                let expected = differences(set, &publication.set);
                assert_eq!(publication.changed, expected, "seed {seed}, step {step}, {:?}", publication.proxy);
                *set = publication.set;
            }
            for (id, (proxy, set)) in &sets {
                assert_eq!(versions(set), compiled(&world, proxy), "seed {seed}, step {step}, {id:?}");
            }
        }
    }
}

fn put(world: &mut World, text: &str) {
    for object in orrery_api::parse(text, "test.yaml", "a").unwrap() {
        world.apply(object);
    }
}

fn mesh(services: u32) -> World {
    let mut world = World::new(Settings::default());
    for number in 0..services {
        put(&mut world, &service(number, 1));
    }
    world
}

fn service(number: u32, ip: u8) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: s{number}}}\nspec: {{selector: {{app: s{number}}}, ports: [{{port: 80, name: http}}]}}\n\
         ---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, labels: {{app: s{number}}}}}\nspec: {{containers: []}}\nstatus: {{podIP: 10.2.{number}.{ip}}}\n"
    )
}

#[test]
fn an_endpoint_compiles_its_service_once_for_all() {
    let mut world = mesh(20);
    let mut compiler = Compiler::default();
    for (number, proxy) in proxies().into_iter().enumerate() {
        compiler.connect(&world, ProxyId(number as u64), proxy, 1);
    }
    compiler.update(&mut world, 2);
    let before = compiler.counts();
    put(&mut world, &service(7, 2));
    let publications = compiler.update(&mut world, 3);
    let after = compiler.counts();
    assert_eq!(
        (after.clusters - before.clusters, after.parts, after.tables, after.frames),
        (1, before.parts, before.tables, before.frames)
    );
    assert_eq!(publications.len(), 6);
    for publication in publications {
        let names = |kind| publication.changed.names(kind).map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(ResourceType::Endpoint), ["outbound|80||s7.a.svc.cluster.local"]);
        assert_eq!(ResourceType::ALL.into_iter().map(|kind| names(kind).len()).sum::<usize>(), 1);
    }
}

#[test]
fn a_virtual_service_compiles_its_host_in_each_view() {
    let mut world = mesh(20);
    let mut compiler = Compiler::default();
    for (number, proxy) in proxies().into_iter().enumerate() {
        compiler.connect(&world, ProxyId(number as u64), proxy, 1);
    }
    compiler.update(&mut world, 2);
    let before = compiler.counts();
    put(
        &mut world,
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\nspec: {hosts: [s3], http: [{timeout: 1s, route: [{destination: {host: s4}}]}]}\n",
    );
    let publications = compiler.update(&mut world, 3);
    let after = compiler.counts();
    assert_eq!(after.clusters, before.clusters);
    assert_eq!(after.parts - before.parts, compiler.views() as u64);
    assert_eq!(after.tables - before.tables, 3, "of the sidecars' views");
    let reached: Vec<u64> = publications.iter().map(|publication| publication.proxy.0).collect();
    assert_eq!(reached, [0, 1, 2, 3]);
}
