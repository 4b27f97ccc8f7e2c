//! `launch.volumeConfigurations`: the EBS volume that each task gets at its launch. Pure.

use serde::Serialize;

/// `TaskVolumeConfiguration`, under ECS's own names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VolumeConfiguration {
    /// That of a volume which the definition leaves to the launch.
    pub name: String,
    /// What it is.
    #[serde(rename = "managedEBSVolume")]
    pub managed_ebs_volume: EbsVolume,
}

/// `TaskManagedEBSVolumeConfiguration`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EbsVolume {
    /// The role with which ECS makes and attaches it.
    pub role_arn: String,
    /// Its size; with a snapshot at least that one's.
    #[serde(rename = "sizeInGiB", skip_serializing_if = "Option::is_none")]
    pub size_in_gib: Option<u32>,
    /// What it begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// How fast a snapshot is read, in MiB a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_initialization_rate: Option<u32>,
    /// Such as `gp3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<&'static str>,
    /// Operations a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
    /// MiB a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput: Option<u32>,
    /// Whether it is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// By which key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Such as `xfs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filesystem_type: Option<&'static str>,
    /// What becomes of it when its task has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_policy: Option<TerminationPolicy>,
    /// Its own tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// `TaskManagedEBSVolumeTerminationPolicy`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TerminationPolicy {
    /// Else it stays, and costs, until somebody deletes it.
    pub delete_on_termination: bool,
}

/// `EBSTagSpecification`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TagSpecification {
    /// It is always `volume`.
    pub resource_type: &'static str,
    /// Tags of the volume.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<VolumeTag>,
    /// Where more come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_tags: Option<&'static str>,
}

/// A tag of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VolumeTag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}
