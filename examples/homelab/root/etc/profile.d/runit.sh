# `sv status web`, without a path
export SVDIR=/run/service
