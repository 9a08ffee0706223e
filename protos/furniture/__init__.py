"""What both servers stand on: statuses, interceptor, reflection, addresses, channels, logs, lifeline.

Written once in `protos/furniture` and copied beside the generated messages of each service, because agenthost never imports
conductor and there is no third package. Knows no service: neither its messages nor its errors, only their shape.
"""
