//! Controllers of gateway classes that are ours, and what each does.

use orrery_api::gateway_api::GatewayClass;
use orrery_api::{Kind, Spec};

use crate::sources::Sources;

/// Who serves a Gateway, by the controller that its class names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Controller {
    /// `istio.io/gateway-controller`.
    Istio,
    /// `orrery.dev/gateway-controller`: the same under our own name.
    Orrery,
    /// `istio.io/mesh-controller`: waypoints, which have no listeners of their own.
    Mesh,
    /// `istio.io/eastwest-controller`: between the networks of a mesh.
    EastWest,
    /// `istio.io/unmanaged-gateway`: of another cluster.
    Remote,
}

/// Classes that are there without a GatewayClass object.
const BUILT_IN: [(&str, Controller); 5] = [
    ("istio", Controller::Istio),
    ("istio-east-west", Controller::EastWest),
    ("istio-remote", Controller::Remote),
    ("istio-waypoint", Controller::Mesh),
    ("orrery", Controller::Orrery),
];

impl Controller {
    const ALL: [Self; 5] = [Self::Istio, Self::Orrery, Self::Mesh, Self::EastWest, Self::Remote];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Istio => "istio.io/gateway-controller",
            Self::Orrery => "orrery.dev/gateway-controller",
            Self::Mesh => "istio.io/mesh-controller",
            Self::EastWest => "istio.io/eastwest-controller",
            Self::Remote => "istio.io/unmanaged-gateway",
        }
    }

    /// Whether ours is behind a name of a controller.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|controller| controller.name() == name)
    }

    /// The controller under whose name routes of a Gateway have their status.
    pub(crate) fn of_routes(self) -> Self {
        match self {
            Self::Orrery => Self::Orrery,
            Self::Istio | Self::Mesh | Self::EastWest | Self::Remote => Self::Istio,
        }
    }

    /// Whether the class's name is part of the names of what is deployed.
    pub(crate) fn has_suffix(self) -> bool {
        match self {
            Self::Istio | Self::Orrery | Self::Remote => true,
            Self::Mesh | Self::EastWest => false,
        }
    }

    pub(crate) fn takes_listener_sets(self) -> bool {
        match self {
            Self::Istio | Self::Orrery => true,
            Self::Mesh | Self::EastWest | Self::Remote => false,
        }
    }

    /// Whether addresses inside of the cluster are told as IP addresses, too.
    pub(crate) fn tells_internal_ips(self) -> bool {
        match self {
            Self::Istio | Self::Orrery | Self::Remote => false,
            Self::Mesh | Self::EastWest => true,
        }
    }
}

/// Who serves Gateways of a class; `None`: nobody of ours.
pub(crate) fn controller_of(sources: &Sources<'_>, class: &str) -> Option<Controller> {
    match sources.get(Kind::GatewayClass, "", class).map(|object| &object.spec) {
        Some(Spec::GatewayClass(GatewayClass { controller_name })) => Controller::named(controller_name),
        Some(_) | None => BUILT_IN.iter().find(|(name, _)| *name == class).map(|(_, controller)| *controller),
    }
}
