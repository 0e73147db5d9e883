"""ml-metadata's gRPC service over its Python client's store: `mlmd_server.py ADDRESS SQLITE_FILE`."""

import sys
import threading
import traceback
from concurrent import futures

import grpc
from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd
from ml_metadata.proto import metadata_store_service_pb2 as service

address, file = sys.argv[1:]
config = mlmd.ConnectionConfig()
config.sqlite.filename_uri = file
config.sqlite.connection_mode = 3
store = metadata_store.MetadataStore(config, enable_upgrade_migration=True)
lock = threading.Lock()
descriptor = service.DESCRIPTOR.services_by_name["MetadataStoreService"]


def handler(method):
    request, response = (getattr(service, m.name) for m in (method.input_type, method.output_type))

    def call(given, context):
        answer = response()
        try:
            with lock:
                store._call_method(method.name, given, answer)
        except errors.StatusError as error:
            code = next(
                (c for c in grpc.StatusCode if c.value[0] == error.error_code), grpc.StatusCode.UNKNOWN
            )
            context.abort(code, error.message)
        except Exception as error:
            traceback.print_exc()
            context.abort(grpc.StatusCode.INTERNAL, str(error))
        return answer

    return grpc.unary_unary_rpc_method_handler(call, request.FromString, response.SerializeToString)


server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", 1 << 27)])
handlers = {m.name: handler(m) for m in descriptor.methods}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(descriptor.full_name, handlers),))
server.add_insecure_port(address)
server.start()
print("ready", address, flush=True)
server.wait_for_termination()
