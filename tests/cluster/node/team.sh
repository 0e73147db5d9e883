#!/usr/bin/env bash
# team.sh NAME…: namespaces in which users of a backend for many work, each with a volume of its
# own. They hold what the profile controller of Kubeflow lays there; `kubeflow-edit` has the rules of its namesake.
set -euo pipefail
. "$(dirname "$0")/env.sh"
kubectl apply -f - <<END
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: kubeflow-edit}
aggregationRule:
  clusterRoleSelectors:
  - {matchLabels: {rbac.authorization.kubeflow.org/aggregate-to-kubeflow-edit: "true"}}
  - {matchLabels: {rbac.authorization.k8s.io/aggregate-to-edit: "true"}}
  - {matchLabels: {rbac.authorization.k8s.io/aggregate-to-view: "true"}}
rules: []
END
for team in "$@"; do
  folder=/srv/maskline-$team
  mkdir -p "$folder"; chown :10001 "$folder"; chmod 2775 "$folder"
  kubectl apply -f - <<END
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: $team}}
- {apiVersion: v1, kind: Secret, metadata: {name: mlpipeline-minio-artifact, namespace: $team}, stringData: {accesskey: minio, secretkey: minio123}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: kfp-launcher, namespace: $team}, data: {defaultPipelineRoot: "minio://mlpipeline/private-artifacts/$team/v2/artifacts"}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: metadata-grpc-configmap, namespace: $team}, data: {METADATA_GRPC_SERVICE_HOST: metadata-grpc-service.kubeflow, METADATA_GRPC_SERVICE_PORT: "8080"}}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: artifact-repositories, namespace: $team, annotations: {workflows.argoproj.io/default-artifact-repository: default-namespaced}}
  data:
    default-namespaced: |
      archiveLogs: true
      s3:
        bucket: mlpipeline
        endpoint: seaweedfs.kubeflow:9000
        insecure: true
        keyFormat: private-artifacts/$team/{{workflow.name}}/{{workflow.creationTimestamp.Y}}/{{workflow.creationTimestamp.m}}/{{workflow.creationTimestamp.d}}/{{pod.name}}
        accessKeySecret: {name: mlpipeline-minio-artifact, key: accesskey}
        secretKeySecret: {name: mlpipeline-minio-artifact, key: secretkey}
- apiVersion: v1
  kind: PersistentVolume
  metadata: {name: maskline-$team}
  spec:
    capacity: {storage: 50Gi}
    accessModes: [ReadWriteOnce, ReadWriteMany]
    hostPath: {path: $folder}
    persistentVolumeReclaimPolicy: Retain
END
done
