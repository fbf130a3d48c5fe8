# shellcheck shell=bash
# What image, kind-up, kind-down, e2e and release share; sourced by them.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

RELEASE=wattmesh
SYSTEM=wattmesh-system # namespace of the operator

fail() {
  echo "$*" >&2
  exit 1
}

# need TOOL…: all that are missing are told at once.
need() {
  local tool missing=0
  for tool in "$@"; do
    command -v "$tool" >/dev/null && continue
    missing=1
    case $tool in
      docker) echo "docker is missing: https://docs.docker.com/get-started/get-docker/" >&2 ;;
      kind) echo "kind is missing: https://kind.sigs.k8s.io/docs/user/quick-start/#installation" >&2 ;;
      kubectl) echo "kubectl is missing: https://kubernetes.io/docs/tasks/tools/#kubectl" >&2 ;;
      helm) echo "helm is missing: https://helm.sh/docs/intro/install/" >&2 ;;
    esac
  done
  [ "$missing" = 0 ] || exit 1
  local said
  said=$(docker info --format '{{.ServerVersion}}' 2>&1) ||
    fail "The docker daemon does not answer; start it (Docker Desktop, or: sudo systemctl start docker), and see that you may use it. It said: $said"
}

project_version() {
  sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml
}

# has_pinned_base: whether docker has the base of the images, or can pull it. Sets PINNED_BASE, and PULLED to what docker said.
has_pinned_base() {
  PINNED_BASE=$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)
  docker image inspect "$PINNED_BASE" >/dev/null 2>&1 || PULLED=$(docker pull --quiet "$PINNED_BASE" 2>&1)
}

has_cluster() {
  kind get clusters 2>/dev/null | grep -qxF "$1"
}

# make_cluster NAME: make it if it is not there. kubectl and helm reach it by the context kind-NAME of KUBECONFIG.
make_cluster() {
  if has_cluster "$1"; then
    kind export kubeconfig --quiet --name "$1"
  else
    kind create cluster --name "$1" --wait 180s
  fi
}

# make_cluster_with_images NAME: make it while both images are built, and load them. Sets TAG to one that is new whenever
# an image is: pods of the images that were there before are replaced by the upgrade, and only then.
make_cluster_with_images() {
  make --no-print-directory image TAG=dev IMAGE_PREFIX=wattmesh &
  local images=$!
  make_cluster "$1"
  wait "$images" || fail "The images could not be built."
  TAG=dev-$(docker image inspect --format '{{.Id}}' wattmesh/operator:dev wattmesh/runtime:dev | git hash-object --stdin | cut -c 1-12)
  local part
  for part in operator runtime; do
    docker tag "wattmesh/$part:dev" "wattmesh/$part:$TAG"
  done
  kind load docker-image --name "$1" "wattmesh/operator:$TAG" "wattmesh/runtime:$TAG"
  # The image stays, as wattmesh/…:dev. Another run of the same images may have taken these names away already.
  docker rmi "wattmesh/operator:$TAG" "wattmesh/runtime:$TAG" >/dev/null 2>&1 || true
}

# install_chart CLUSTER [ARGUMENT…]: definitions and operator, and wait until it is ready.
install_chart() {
  local cluster=$1
  shift
  # Helm makes definitions that are missing and never changes one.
  kubectl --context "kind-$cluster" apply --server-side --force-conflicts -f crds/ >/dev/null
  kubectl --context "kind-$cluster" wait --for=condition=Established --timeout=60s -f crds/ >/dev/null
  make_restricted_namespace "$cluster" "$SYSTEM"
  helm upgrade --install "$RELEASE" charts/wattmesh --kube-context "kind-$cluster" --namespace "$SYSTEM" \
    --set "image.tag=$TAG,runtimeImage.tag=$TAG" --wait --timeout 5m "$@" >/dev/null
}

# make_restricted_namespace CLUSTER NAMESPACE: one whose pods must meet the restricted Pod Security Standard.
make_restricted_namespace() {
  kubectl --context "kind-$1" apply -f - >/dev/null <<MANIFEST
apiVersion: v1
kind: Namespace
metadata:
  name: $2
  labels:
    pod-security.kubernetes.io/enforce: restricted
MANIFEST
}

# show_cluster CLUSTER: what there is to see when something went wrong.
show_cluster() {
  local see=(kubectl --context "kind-$1")
  echo "--- resources and pods"
  "${see[@]}" get beckngateways,utilityagents,solaragents --all-namespaces --output wide
  "${see[@]}" get pods,persistentvolumeclaims --all-namespaces
  echo "--- warnings"
  "${see[@]}" get events --all-namespaces --field-selector type=Warning --sort-by=.lastTimestamp | tail -30
  echo "--- what the operator says"
  "${see[@]}" --namespace "$SYSTEM" logs --selector app.kubernetes.io/component=operator --tail 60
}
