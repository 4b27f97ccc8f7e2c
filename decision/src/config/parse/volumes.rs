//! `launch.volumeConfigurations`, under ECS's own names.

use super::super::form::names::{Id, Identifier, ROLE, TagText};
use super::super::form::{Boolean, OneOf, Text, Whole};
use super::super::reader::Fields;
use super::super::shape::about;
use super::super::volumes::{
    EbsVolume, TagSpecification, TerminationPolicy, VolumeConfiguration, VolumeTag,
};
use crate::limits;

/// Source: ECS API, `TaskManagedEBSVolumeConfiguration.volumeType`.
const TYPES: OneOf<&str> = OneOf(&[
    ("gp3", "gp3"),
    ("gp2", "gp2"),
    ("io2", "io2"),
    ("io1", "io1"),
    ("st1", "st1"),
    ("sc1", "sc1"),
    ("standard", "standard"),
]);

/// Source: ECS API, `TaskFilesystemType`.
const FILE_SYSTEMS: OneOf<&str> =
    OneOf(&[("xfs", "xfs"), ("ext4", "ext4"), ("ext3", "ext3"), ("ntfs", "ntfs")]);

const VOLUME: OneOf<&str> = OneOf(&[("volume", "volume")]);

/// `SERVICE` is for services.
const TAG_SOURCES: OneOf<&str> = OneOf(&[("TASK_DEFINITION", "TASK_DEFINITION"), ("NONE", "NONE")]);

/// Source: ECS developer guide, "Use Amazon EBS volumes with Amazon ECS": one a task.
pub(super) fn read_volumes(launch: &mut Fields<'_>) -> Option<Vec<VolumeConfiguration>> {
    let what =
        about("the EBS volume that each task gets, where its definition leaves one to the launch");
    let volumes = launch.objects("volumeConfigurations", 0..=1, what.defaults_to("none"))?;
    Some(volumes.into_iter().filter_map(read_volume).collect())
}

fn read_volume(mut fields: Fields<'_>) -> Option<VolumeConfiguration> {
    let name = "the volume's name in the definition, which has `configuredAtLaunch` there";
    let name = fields.required("name", Identifier(limits::NAME_CHARACTERS), name);
    if !fields.has("managedEBSVolume") {
        fields.problem("managedEBSVolume", "is missing");
    }
    let volume = fields.object("managedEBSVolume", about("what it is").required());
    let volume = volume.and_then(read_ebs);
    fields.finish();
    Some(VolumeConfiguration { name: name?, managed_ebs_volume: volume? })
}

fn read_ebs(mut fields: Fields<'_>) -> Option<EbsVolume> {
    let role =
        "the role with which ECS makes the volume; the function's role must be allowed to pass it";
    let role = fields.required("roleArn", ROLE, role);
    let size = "its size; it or `snapshotId` is needed";
    let snapshot = "the snapshot that it begins with";
    let rate = "how fast a snapshot is read, in MiB a second";
    let throughput = "MiB a second; of `gp3` only";
    let volume = EbsVolume {
        role_arn: role.unwrap_or_default(),
        size_in_gib: fields.optional("sizeInGiB", Whole(1..=65_536), size),
        snapshot_id: fields.optional("snapshotId", Id("snap-"), snapshot),
        volume_initialization_rate: fields.optional(
            "volumeInitializationRate",
            Whole(100..=300),
            rate,
        ),
        volume_type: fields.optional(
            "volumeType",
            TYPES,
            about("its type").defaults_to("ECS's own"),
        ),
        iops: fields.optional(
            "iops",
            Whole(100..=256_000),
            "operations a second; `io1` and `io2` need it",
        ),
        throughput: fields.optional("throughput", Whole(125..=2000), throughput),
        encrypted: fields.optional("encrypted", Boolean, about("whether it is encrypted")),
        kms_key_id: fields.optional("kmsKeyId", Text(2048), "by which key"),
        filesystem_type: fields.optional("filesystemType", FILE_SYSTEMS, "its file system"),
        termination_policy: read_termination(&mut fields),
        tag_specifications: read_tag_specifications(&mut fields),
    };
    let is_sound = volume.check(&mut fields);
    let is_whole = fields.has("roleArn") && is_sound;
    fields.finish();
    is_whole.then_some(volume)
}

impl EbsVolume {
    /// What the members say of each other.
    fn check(&self, fields: &mut Fields<'_>) -> bool {
        let before = fields.reading().count();
        if !fields.has("sizeInGiB") && !fields.has("snapshotId") && !fields.is_blank() {
            fields.problem("sizeInGiB", "is missing; without a snapshotId it is needed");
        }
        match (self.volume_type, self.iops) {
            (Some(kind @ ("io1" | "io2")), None) if !fields.has("iops") => {
                fields.problem("iops", &format!("is missing; {kind} needs it"));
            }
            (Some(kind @ ("gp2" | "st1" | "sc1" | "standard")), Some(_)) => {
                fields.problem("iops", &format!("is not for {kind}"));
            }
            _ => {}
        }
        if let (Some(kind), Some(_)) =
            (self.volume_type.filter(|kind| *kind != "gp3"), self.throughput)
        {
            fields.problem("throughput", &format!("is not for {kind}, but for gp3"));
        }
        if self.volume_initialization_rate.is_some() && !fields.has("snapshotId") {
            fields.problem("volumeInitializationRate", "is for a snapshot; give a snapshotId");
        }
        if self.encrypted == Some(false) && self.kms_key_id.is_some() {
            fields.problem("kmsKeyId", "is for an encrypted volume, and encrypted is false");
        }
        before == fields.reading().count()
    }
}

fn read_termination(volume: &mut Fields<'_>) -> Option<TerminationPolicy> {
    let what = about("what becomes of it when its task has ended").defaults_to("it is deleted");
    let mut fields = volume.object("terminationPolicy", what)?;
    let what = "`false`: it stays, and costs, until somebody deletes it";
    let delete = fields.required("deleteOnTermination", Boolean, what);
    if delete == Some(false) {
        let message = "leaves a volume behind for each task, which costs until somebody deletes it";
        fields.warn("deleteOnTermination", message);
    }
    fields.finish();
    Some(TerminationPolicy { delete_on_termination: delete? })
}

fn read_tag_specifications(volume: &mut Fields<'_>) -> Vec<TagSpecification> {
    let specifications = volume.objects("tagSpecifications", 0..=1, "tags of the volume itself");
    let specification = |mut fields: Fields<'_>| {
        let kind = fields.required("resourceType", VOLUME, "what has them");
        let tags = fields.objects("tags", 0..=limits::TAGS, "the tags").unwrap_or_default();
        let tags = tags.into_iter().filter_map(read_tag).collect();
        let what = about("whether it gets the tags of the task definition").defaults_to("`NONE`");
        let propagate_tags = fields.optional("propagateTags", TAG_SOURCES, what);
        fields.finish();
        Some(TagSpecification { resource_type: kind?, tags, propagate_tags })
    };
    specifications.unwrap_or_default().into_iter().filter_map(specification).collect()
}

fn read_tag(mut fields: Fields<'_>) -> Option<VolumeTag> {
    let key = fields.required("key", TagText(1..=128), "its key");
    let value = fields.required("value", TagText(0..=256), "its value");
    fields.finish();
    Some(VolumeTag { key: key?, value: value? })
}
