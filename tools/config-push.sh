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
	# A parameter that is there keeps its type; of a new one it has to be said.
	type=$(aws ssm describe-parameters --parameter-filters "Key=Name,Values=$name" --output text \
		--query 'Parameters[0].Type')
	[ "$type" != None ] || type=String
	version=$(aws ssm put-parameter --name "$name" --type "$type" --tier Intelligent-Tiering --overwrite \
		--value "file://$file" --output text --query Version)
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
