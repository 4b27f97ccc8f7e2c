#!/usr/bin/env bash
# Usage: config-push.sh FILE STACK [TO]
#
# Puts a configuration to where a deployment reads it: into the SSM parameter or the S3 object that the
# stack's ScalerConfig names, or that TO does. The next tick after `configRefresh` goes by it.
set -euo pipefail

file=$1
stack=$2
to=${3:-}

if [ -z "$to" ]; then
	to=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
		--query "Stacks[0].Parameters[?ParameterKey=='ScalerConfig'].ParameterValue")
fi
case $to in
ssm:*)
	name=${to#ssm:}
	case ${name#arn:*:parameter} in *:*)
		echo "$to names a version or a label, which a push does not move: give TO=ssm:${name%:*}, and" \
			"then name the new version" >&2
		exit 1
		;;
	esac
	# A parameter that is there keeps its type and its key; of a new one the type has to be said.
	read -r type key < <(aws ssm describe-parameters --parameter-filters "Key=Name,Values=$name" \
		--output text --query 'Parameters[0].[Type,KeyId]') || true
	put=(aws ssm put-parameter --name "$name" --tier Intelligent-Tiering --overwrite)
	put+=(--value "file://$file" --output text --query Version)
	[ "${type:-None}" != None ] || type=String
	[ "${key:-None}" = None ] || put+=(--key-id "$key")
	version=$("${put[@]}" --type "$type")
	echo "$file is version $version of parameter $name"
	;;
s3://*)
	aws s3 cp --only-show-errors "$file" "$to"
	echo "$file is $to"
	;;
*)
	echo "ScalerConfig of stack $stack is '$to', which travels in the package: sam build && sam deploy," \
		"or give TO=ssm:/name or TO=s3://bucket/key" >&2
	exit 1
	;;
esac
