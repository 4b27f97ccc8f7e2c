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

/// What tasks on Fargate ask where nothing else leads out: the registry, its layers, and the log.
/// Source: ECR user guide, "Amazon ECR interface VPC endpoints".
const NEEDED: [&str; 4] = ["ecr.api", "ecr.dkr", "s3", "logs"];

/// A network that tasks are put into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The VPC of each subnet that is there.
    pub subnets: BTreeMap<String, String>,
    /// The VPC of each security group that is there.
    pub groups: BTreeMap<String, String>,
    /// The ways out of each subnet.
    pub ways_out: BTreeMap<String, WayOut>,
}

/// Where a subnet leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WayOut {
    /// To the internet, for what has a public address.
    pub by_gateway: bool,
    /// To anywhere, for what has none: NAT, a transit gateway, an appliance.
    pub by_nat: bool,
    /// To these services of AWS, by endpoints, of those that tasks need.
    pub endpoints: BTreeSet<String>,
}

impl WayOut {
    /// What a task without a public address cannot reach by endpoints.
    pub fn missing_endpoints(&self) -> Vec<&'static str> {
        NEEDED.into_iter().filter(|name| !self.endpoints.contains(*name)).collect()
    }
}

impl ReadCloud {
    /// Subnets and security groups as they are, and where they lead. What is not there is not in it.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn network(&self, subnets: &[String], groups: &[String]) -> Read<Network> {
        let mut network = Network::default();
        for subnet in subnets {
            network.subnets.extend(self.vpc_of("DescribeSubnets", "SubnetId", subnet).await?);
        }
        for group in groups {
            network.groups.extend(self.vpc_of("DescribeSecurityGroups", "GroupId", group).await?);
        }
        let vpcs: BTreeSet<_> = network.subnets.values().cloned().collect();
        for vpc in vpcs {
            let ways_out = self.ways_out_of(&vpc, &network.subnets).await?;
            network.ways_out.extend(ways_out);
        }
        Ok(network)
    }

    /// One thing and its VPC; nothing where it is not there.
    async fn vpc_of(
        &self,
        operation: &'static str,
        key: &str,
        id: &str,
    ) -> Read<Option<(String, String)>> {
        let about = About { operation, subject: id, rate: Rate::Free };
        let fields = vec![("Version".to_owned(), VERSION), (format!("{key}.1"), id)];
        let xml = match self.query(about, Service::Ec2, fields).await {
            Ok(xml) => xml,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let document = Document::parse(&xml).map_err(|error| garbled(operation, &error))?;
        let vpc = document.descendants().find(|node| node.tag_name().name() == "vpcId");
        let vpc = vpc.and_then(|node| node.text()).unwrap_or_default();
        Ok(Some((id.to_owned(), vpc.to_owned())))
    }

    async fn ways_out_of(
        &self,
        vpc: &str,
        subnets: &BTreeMap<String, String>,
    ) -> Read<BTreeMap<String, WayOut>> {
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
        let endpoints = services(&endpoints);
        let of_vpc = subnets.iter().filter(|(_, of)| *of == vpc);
        let ways_out = of_vpc.map(|(subnet, _)| {
            let way_out = WayOut { endpoints: endpoints.clone(), ..way_out(&tables, subnet) };
            (subnet.clone(), way_out)
        });
        Ok(ways_out.collect())
    }
}

/// Source: EC2 API reference, "Error codes".
fn is_missing(error: &CallError) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    code.ends_with(".NotFound") || code.ends_with(".Malformed")
}

/// Of the services that tasks need, those that have an endpoint here.
fn services(endpoints: &Document<'_>) -> BTreeSet<String> {
    let names = endpoints.descendants().filter(|node| node.tag_name().name() == "serviceName");
    let names = names.filter_map(|node| node.text());
    let needed = names.filter_map(|name| {
        NEEDED.iter().find(|needed| name.ends_with(&format!(".{needed}"))).map(|n| (*n).to_owned())
    });
    needed.collect()
}

/// By the table of the subnet, or else the main one of its VPC.
fn way_out(tables: &Document<'_>, subnet: &str) -> WayOut {
    let tables = items(tables.root(), "routeTableSet");
    let has = |table: &Node<'_, '_>, name: &str, value: &str| {
        let mut all = table.descendants().filter(|node| node.tag_name().name() == name);
        all.any(|node| node.text() == Some(value))
    };
    let own = tables.iter().find(|table| has(table, "subnetId", subnet));
    let main = || tables.iter().find(|table| has(table, "main", "true"));
    let Some(table) = own.or_else(main) else { return WayOut::default() };
    let routes = items(*table, "routeSet");
    let to_all = routes.iter().filter(|route| {
        has(route, "destinationCidrBlock", "0.0.0.0/0") && !has(route, "state", "blackhole")
    });
    let mut way_out = WayOut::default();
    for route in to_all {
        let gateway = route.children().find(|node| node.tag_name().name() == "gatewayId");
        let gateway = gateway.and_then(|node| node.text()).unwrap_or_default();
        if gateway.starts_with("igw-") {
            way_out.by_gateway = true;
        } else {
            way_out.by_nat = true;
        }
    }
    way_out
}

/// The items of the first list of this name below a node.
fn items<'a, 'input>(below: Node<'a, 'input>, list: &str) -> Vec<Node<'a, 'input>> {
    let found = below.descendants().find(|node| node.tag_name().name() == list);
    let items = found.into_iter().flat_map(|list| list.children());
    items.filter(|node| node.tag_name().name() == "item").collect()
}
