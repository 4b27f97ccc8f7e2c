//! Subnets, their groups, and the ways out of them, for a terminal.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Node};

use super::ReadCloud;
use super::pace::{About, Rate};
use super::roles::{Form, garbled};
use super::signed::Service;
use decision::snapshot::{CallError, Read};

/// Source: EC2 API reference, the version of its calls.
const VERSION: &str = "2016-11-15";

/// Where a route leads that leads to another network, which may have endpoints or a way out for this one.
/// Source: EC2 API reference, `Route`.
const OTHER_NETWORKS: [&str; 3] = ["transitGatewayId", "vpcPeeringConnectionId", "coreNetworkArn"];

/// A network that tasks are put into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The VPC of each subnet that is there.
    pub subnets: BTreeMap<String, String>,
    /// The VPC of each security group that is there.
    pub groups: BTreeMap<String, String>,
    /// The account that each subnet is of.
    pub owners: BTreeMap<String, String>,
    /// The ways out of each subnet; none where its routes are not seen.
    pub ways_out: BTreeMap<String, Option<WayOut>>,
}

/// Where a subnet leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WayOut {
    /// To the internet, for what has a public address.
    pub by_gateway: bool,
    /// To anywhere, for what has none: NAT, an appliance, or another network, which may lead further.
    pub by_nat: bool,
    /// To these services of AWS, by endpoints, such as `ecr.api`.
    pub endpoints: BTreeSet<String>,
}

/// A subnet or a security group.
struct Placed {
    vpc: String,
    owner: String,
}

impl ReadCloud {
    /// Subnets and security groups as they are, and where they lead. What is not there is not in it.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn network(&self, subnets: &[String], groups: &[String]) -> Read<Network> {
        let mut network = Network::default();
        for subnet in subnets {
            let found = self.placed("DescribeSubnets", "SubnetId", subnet).await?;
            let Some(Placed { vpc, owner }) = found else { continue };
            network.subnets.insert(subnet.clone(), vpc);
            network.owners.insert(subnet.clone(), owner);
        }
        for group in groups {
            let found = self.placed("DescribeSecurityGroups", "GroupId", group).await?;
            network.groups.extend(found.map(|Placed { vpc, .. }| (group.clone(), vpc)));
        }
        let vpcs: BTreeSet<_> = network.subnets.values().cloned().collect();
        for vpc in vpcs {
            let ways_out = self.ways_out_of(&vpc, &network.subnets).await?;
            network.ways_out.extend(ways_out);
        }
        Ok(network)
    }

    /// Where one is; nothing where it is not there.
    async fn placed(&self, operation: &'static str, key: &str, id: &str) -> Read<Option<Placed>> {
        let about = About { operation, subject: id, rate: Rate::Free };
        let fields = vec![("Version".to_owned(), VERSION), (format!("{key}.1"), id)];
        let xml = match self.query(about, Service::Ec2, fields).await {
            Ok(xml) => xml,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let document = Document::parse(&xml).map_err(|error| garbled(operation, &error))?;
        let lists = ["subnetSet", "securityGroupInfo"];
        let item = lists.iter().find_map(|list| items(document.root(), list).into_iter().next());
        // A group's rules name the VPCs of others.
        let of_item = |name: &str| {
            let member =
                item.and_then(|item| item.children().find(|of| of.tag_name().name() == name));
            member.and_then(|node| node.text()).unwrap_or_default().to_owned()
        };
        Ok(item.map(|_| Placed { vpc: of_item("vpcId"), owner: of_item("ownerId") }))
    }

    async fn ways_out_of(
        &self,
        vpc: &str,
        subnets: &BTreeMap<String, String>,
    ) -> Read<BTreeMap<String, Option<WayOut>>> {
        let in_vpc = |operation| {
            let about = About { operation, subject: vpc, rate: Rate::Free };
            let fields: Form<'_> = vec![
                ("Version".to_owned(), VERSION),
                ("Filter.1.Name".to_owned(), "vpc-id"),
                ("Filter.1.Value.1".to_owned(), vpc),
            ];
            self.query(about, Service::Ec2, fields)
        };
        let tables = in_vpc("DescribeRouteTables").await?;
        let tables =
            Document::parse(&tables).map_err(|error| garbled("DescribeRouteTables", &error))?;
        let endpoints = in_vpc("DescribeVpcEndpoints").await?;
        let endpoints =
            Document::parse(&endpoints).map_err(|error| garbled("DescribeVpcEndpoints", &error))?;
        let endpoints = services(&endpoints, self.region.as_str());
        let of_vpc = subnets.iter().filter(|(_, of)| *of == vpc);
        let ways_out = of_vpc.map(|(subnet, _)| {
            let way_out = way_out(&tables, subnet);
            let endpoints = endpoints.clone();
            (subnet.clone(), way_out.map(|way_out| WayOut { endpoints, ..way_out }))
        });
        Ok(ways_out.collect())
    }
}

/// Source: EC2 API reference, "Error codes".
fn is_missing(error: &CallError) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    code.ends_with(".NotFound") || code.ends_with(".Malformed")
}

/// The services of this Region that have an endpoint, such as `com.amazonaws.eu-central-1.ecr.api`.
fn services(endpoints: &Document<'_>, region: &str) -> BTreeSet<String> {
    let names = endpoints.descendants().filter(|node| node.tag_name().name() == "serviceName");
    let names = names.filter_map(|node| node.text());
    let of_region = format!(".{region}.");
    names.filter_map(|name| Some(name.split_once(&of_region)?.1.to_owned())).collect()
}

/// By the table of the subnet, or else the main one of its VPC; none where neither is seen.
fn way_out(tables: &Document<'_>, subnet: &str) -> Option<WayOut> {
    let tables = items(tables.root(), "routeTableSet");
    let has = |table: &Node<'_, '_>, name: &str, value: &str| {
        let mut all = table.descendants().filter(|node| node.tag_name().name() == name);
        all.any(|node| node.text() == Some(value))
    };
    let own = tables.iter().find(|table| has(table, "subnetId", subnet));
    let main = || tables.iter().find(|table| has(table, "main", "true"));
    let routes = items(*own.or_else(main)?, "routeSet");
    let mut way_out = WayOut::default();
    for route in routes.iter().filter(|route| !has(route, "state", "blackhole")) {
        let of_route = |name: &str| {
            let member = route.children().find(|node| node.tag_name().name() == name);
            member.and_then(|node| node.text()).unwrap_or_default()
        };
        let is_to_all = has(route, "destinationCidrBlock", "0.0.0.0/0");
        let gateway = of_route("gatewayId");
        let is_to_others = OTHER_NETWORKS.iter().any(|name| !of_route(name).is_empty())
            || gateway.starts_with("vgw-");
        if is_to_all && gateway.starts_with("igw-") {
            way_out.by_gateway = true;
        } else if is_to_all || is_to_others {
            way_out.by_nat = true;
        }
    }
    Some(way_out)
}

/// The items of the first list of this name below a node.
fn items<'a, 'input>(below: Node<'a, 'input>, list: &str) -> Vec<Node<'a, 'input>> {
    let found = below.descendants().find(|node| node.tag_name().name() == list);
    let items = found.into_iter().flat_map(|list| list.children());
    items.filter(|node| node.tag_name().name() == "item").collect()
}
