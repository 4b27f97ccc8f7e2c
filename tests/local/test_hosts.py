"""The hosts of the services that have no crate here, held to AWS's published rule sets.

`hosts.txt` is what `src/aws/hosts.rs` is tested against: service, Region, whether FIPS and dual-stack
are asked for, and the URL, or `-` where AWS has none. Here it is held to botocore's data; run this file
to write it anew.
"""

import itertools
import pathlib

import botocore.endpoint_provider
import botocore.exceptions
import botocore.loaders

TABLE = pathlib.Path(__file__).with_name("hosts.txt")
SERVICES = ["ssm", "s3", "resourcegroupstaggingapi", "autoscaling", "lambda", "cloudwatch", "logs", "sts"]
SERVICES += ["iam", "ec2", "ecr", "secretsmanager", "service-quotas"]


def published():
    """One line for every service, Region, FIPS and dual-stack."""
    loader = botocore.loaders.Loader()
    partitions = loader.load_data("partitions")
    regions = sorted(
        region
        for partition in partitions["partitions"]
        for region in partition["regions"]
        if not region.endswith("-global")
    )
    for service in SERVICES:
        rules = loader.load_service_model(service, "endpoint-rule-set-1")
        provider = botocore.endpoint_provider.EndpointProvider(rules, partitions)
        for region, fips, dual in itertools.product(regions, (False, True), (False, True)):
            # A terminal asks their plain hosts alone, and IAM in the three partitions that everybody can use.
            is_others = service == "iam" and region.startswith(("us-iso", "eu-iso", "eusc"))
            is_plain = service in ("iam", "ecr", "secretsmanager", "service-quotas")
            if is_plain and (fips or dual or is_others):
                continue
            asked = {"Region": region, "UseFIPS": fips, "UseDualStack": dual}
            if service == "s3":
                asked["Bucket"] = "bucket"
            try:
                url = provider.resolve_endpoint(**asked).url
            except botocore.exceptions.EndpointProviderError:
                url = "-"
            yes = {False: "no", True: "yes"}
            yield " ".join([service, region, yes[fips], yes[dual], url])


def test_the_hosts_are_those_of_the_published_rule_sets():
    assert TABLE.read_text().splitlines() == list(published())


if __name__ == "__main__":
    TABLE.write_text("\n".join(published()) + "\n")
