/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RocketMQ's RequestCode and ResponseCode, as of 5.3. Operations are called as there, in lower case, but for those that move messages: versions of one share their name.
 */
#include "proto/rocketmq_wire.h"

/* In order of code. */
static const struct rocketmq_code requests[] = {
	{ 10, "send", "send", false },
	{ 11, "pull", "receive", false },
	{ 12, "query_message", NULL, false },
	{ 13, "query_broker_offset", NULL, false },
	{ 14, "query_consumer_offset", NULL, false },
	{ 15, "update_consumer_offset", "settle", false },
	{ 17, "update_and_create_topic", NULL, false },
	{ 18, "update_and_create_topic_list", NULL, false },
	{ 21, "get_all_topic_config", NULL, false },
	{ 22, "get_topic_config_list", NULL, false },
	{ 23, "get_topic_name_list", NULL, false },
	{ 25, "update_broker_config", NULL, false },
	{ 26, "get_broker_config", NULL, false },
	{ 27, "trigger_delete_files", NULL, false },
	{ 28, "get_broker_runtime_info", NULL, false },
	{ 29, "search_offset_by_timestamp", NULL, false },
	{ 30, "get_max_offset", NULL, false },
	{ 31, "get_min_offset", NULL, false },
	{ 32, "get_earliest_msg_storetime", NULL, false },
	{ 33, "view_message_by_id", NULL, false },
	{ 34, "heart_beat", NULL, false },
	{ 35, "unregister_client", NULL, false },
	{ 36, "consumer_send_msg_back", "settle", false },
	{ 37, "end_transaction", NULL, false },
	{ 38, "get_consumer_list_by_group", NULL, false },
	{ 39, "check_transaction_state", NULL, true },
	{ 40, "notify_consumer_ids_changed", NULL, true },
	{ 41, "lock_batch_mq", NULL, false },
	{ 42, "unlock_batch_mq", NULL, false },
	{ 43, "get_all_consumer_offset", NULL, false },
	{ 45, "get_all_delay_offset", NULL, false },
	{ 46, "check_client_config", NULL, false },
	{ 47, "get_client_config", NULL, false },
	{ 60, "get_timer_check_point", NULL, false },
	{ 61, "get_timer_metrics", NULL, false },
	{ 100, "put_kv_config", NULL, false },
	{ 101, "get_kv_config", NULL, false },
	{ 102, "delete_kv_config", NULL, false },
	{ 103, "register_broker", NULL, false },
	{ 104, "unregister_broker", NULL, false },
	{ 105, "get_routeinfo_by_topic", NULL, false },
	{ 106, "get_broker_cluster_info", NULL, false },
	{ 200, "update_and_create_subscriptiongroup", NULL, false },
	{ 201, "get_all_subscriptiongroup_config", NULL, false },
	{ 202, "get_topic_stats_info", NULL, false },
	{ 203, "get_consumer_connection_list", NULL, false },
	{ 204, "get_producer_connection_list", NULL, false },
	{ 205, "wipe_write_perm_of_broker", NULL, false },
	{ 206, "get_all_topic_list_from_nameserver", NULL, false },
	{ 207, "delete_subscriptiongroup", NULL, false },
	{ 208, "get_consume_stats", NULL, false },
	{ 209, "suspend_consumer", NULL, false },
	{ 210, "resume_consumer", NULL, false },
	{ 211, "reset_consumer_offset_in_consumer", NULL, false },
	{ 212, "reset_consumer_offset_in_broker", NULL, false },
	{ 213, "adjust_consumer_thread_pool", NULL, false },
	{ 214, "who_consume_the_message", NULL, false },
	{ 215, "delete_topic_in_broker", NULL, false },
	{ 216, "delete_topic_in_namesrv", NULL, false },
	{ 217, "register_topic_in_namesrv", NULL, false },
	{ 219, "get_kvlist_by_namespace", NULL, false },
	{ 220, "reset_consumer_client_offset", NULL, true },
	{ 221, "get_consumer_status_from_client", NULL, true },
	{ 222, "invoke_broker_to_reset_offset", NULL, false },
	{ 223, "invoke_broker_to_get_consumer_status", NULL, false },
	{ 224, "get_topics_by_cluster", NULL, false },
	{ 225, "update_and_create_subscriptiongroup_list", NULL, false },
	{ 300, "query_topic_consume_by_who", NULL, false },
	{ 301, "register_filter_server", NULL, false },
	{ 302, "register_message_filter_class", NULL, false },
	{ 303, "query_consume_time_span", NULL, false },
	{ 304, "get_system_topic_list_from_ns", NULL, false },
	{ 305, "get_system_topic_list_from_broker", NULL, false },
	{ 306, "clean_expired_consumequeue", NULL, false },
	{ 307, "get_consumer_running_info", NULL, true },
	{ 308, "query_correction_offset", NULL, false },
	{ 309, "consume_message_directly", "process", true },
	{ 310, "send", "send", false },
	{ 311, "get_unit_topic_list", NULL, false },
	{ 312, "get_has_unit_sub_topic_list", NULL, false },
	{ 313, "get_has_unit_sub_ununit_topic_list", NULL, false },
	{ 314, "clone_group_offset", NULL, false },
	{ 315, "view_broker_stats_data", NULL, false },
	{ 316, "clean_unused_topic", NULL, false },
	{ 317, "get_broker_consume_stats", NULL, false },
	{ 318, "update_namesrv_config", NULL, false },
	{ 319, "get_namesrv_config", NULL, false },
	{ 320, "send", "send", false },
	{ 321, "query_consume_queue", NULL, false },
	{ 322, "query_data_version", NULL, false },
	{ 323, "resume_check_half_message", NULL, false },
	{ 324, "send_reply", "send", false },
	{ 325, "send_reply", "send", false },
	{ 326, "push_reply_message_to_client", "process", true },
	{ 327, "add_write_perm_of_broker", NULL, false },
	{ 328, "get_all_producer_info", NULL, false },
	{ 329, "delete_expired_commitlog", NULL, false },
	{ 343, "query_topics_by_consumer", NULL, false },
	{ 345, "query_subscription_by_consumer", NULL, false },
	{ 351, "get_topic_config", NULL, false },
	{ 352, "get_subscriptiongroup_config", NULL, false },
	{ 353, "update_and_get_group_forbidden", NULL, false },
	{ 354, "check_rocksdb_cq_write_progress", NULL, false },
	{ 355, "export_rocksdb_config_to_json", NULL, false },
	{ 361, "lite_pull", "receive", false },
	{ 370, "recall_message", NULL, false },
	{ 400, "query_assignment", NULL, false },
	{ 401, "set_message_request_mode", NULL, false },
	{ 402, "get_all_message_request_mode", NULL, false },
	{ 513, "update_and_create_static_topic", NULL, false },
	{ 901, "get_broker_member_group", NULL, false },
	{ 902, "add_broker", NULL, false },
	{ 903, "remove_broker", NULL, false },
	{ 904, "broker_heartbeat", NULL, false },
	{ 905, "notify_min_broker_id_change", NULL, true },
	{ 906, "exchange_broker_ha_info", NULL, false },
	{ 907, "get_broker_ha_status", NULL, false },
	{ 908, "reset_master_flush_offset", NULL, false },
	{ 1001, "controller_alter_sync_state_set", NULL, false },
	{ 1002, "controller_elect_master", NULL, false },
	{ 1003, "controller_register_broker", NULL, false },
	{ 1004, "controller_get_replica_info", NULL, false },
	{ 1005, "controller_get_metadata_info", NULL, false },
	{ 1006, "controller_get_sync_state_data", NULL, false },
	{ 1007, "get_broker_epoch_cache", NULL, false },
	{ 1008, "notify_broker_role_changed", NULL, true },
	{ 1009, "update_controller_config", NULL, false },
	{ 1010, "get_controller_config", NULL, false },
	{ 1011, "clean_broker_data", NULL, false },
	{ 1012, "controller_get_next_broker_id", NULL, false },
	{ 1013, "controller_apply_broker_id", NULL, false },
	{ 2001, "update_cold_data_flow_ctr_config", NULL, false },
	{ 2002, "remove_cold_data_flow_ctr_config", NULL, false },
	{ 2003, "get_cold_data_flow_ctr_info", NULL, false },
	{ 2004, "set_commitlog_read_mode", NULL, false },
	{ 3001, "auth_create_user", NULL, false },
	{ 3002, "auth_update_user", NULL, false },
	{ 3003, "auth_delete_user", NULL, false },
	{ 3004, "auth_get_user", NULL, false },
	{ 3005, "auth_list_user", NULL, false },
	{ 3006, "auth_create_acl", NULL, false },
	{ 3007, "auth_update_acl", NULL, false },
	{ 3008, "auth_delete_acl", NULL, false },
	{ 3009, "auth_get_acl", NULL, false },
	{ 3010, "auth_list_acl", NULL, false },
	{ 200050, "pop", "receive", false },
	{ 200051, "ack", "settle", false },
	{ 200052, "peek", "receive", false },
	{ 200053, "change_message_invisibletime", "settle", false },
	{ 200054, "notification", NULL, false },
	{ 200055, "polling_info", NULL, false },
	{ 200056, "pop_rollback", NULL, false },
	{ 200151, "ack", "settle", false },
};

struct response {
	int32_t code;
	const char *name;
};

static const struct response responses[] = {
	{ -1006, "RPC_TIME_OUT" },
	{ -1004, "RPC_SEND_TO_CHANNEL_FAILED" },
	{ -1002, "RPC_ADDR_IS_NULL" },
	{ -1000, "RPC_UNKNOWN" },
	{ 0, "SUCCESS" },
	{ 1, "SYSTEM_ERROR" },
	{ 2, "SYSTEM_BUSY" },
	{ 3, "REQUEST_CODE_NOT_SUPPORTED" },
	{ 4, "TRANSACTION_FAILED" },
	{ 10, "FLUSH_DISK_TIMEOUT" },
	{ 11, "SLAVE_NOT_AVAILABLE" },
	{ 12, "FLUSH_SLAVE_TIMEOUT" },
	{ 13, "MESSAGE_ILLEGAL" },
	{ 14, "SERVICE_NOT_AVAILABLE" },
	{ 15, "VERSION_NOT_SUPPORTED" },
	{ 16, "NO_PERMISSION" },
	{ 17, "TOPIC_NOT_EXIST" },
	{ 18, "TOPIC_EXIST_ALREADY" },
	{ 19, "PULL_NOT_FOUND" },
	{ 20, "PULL_RETRY_IMMEDIATELY" },
	{ 21, "PULL_OFFSET_MOVED" },
	{ 22, "QUERY_NOT_FOUND" },
	{ 23, "SUBSCRIPTION_PARSE_FAILED" },
	{ 24, "SUBSCRIPTION_NOT_EXIST" },
	{ 25, "SUBSCRIPTION_NOT_LATEST" },
	{ 26, "SUBSCRIPTION_GROUP_NOT_EXIST" },
	{ 27, "FILTER_DATA_NOT_EXIST" },
	{ 28, "FILTER_DATA_NOT_LATEST" },
	{ 29, "INVALID_PARAMETER" },
	{ 200, "TRANSACTION_SHOULD_COMMIT" },
	{ 201, "TRANSACTION_SHOULD_ROLLBACK" },
	{ 202, "TRANSACTION_STATE_UNKNOW" },
	{ 203, "TRANSACTION_STATE_GROUP_WRONG" },
	{ 204, "NO_BUYER_ID" },
	{ 205, "NOT_IN_CURRENT_UNIT" },
	{ 206, "CONSUMER_NOT_ONLINE" },
	{ 207, "CONSUME_MSG_TIMEOUT" },
	{ 208, "NO_MESSAGE" },
	{ 209, "POLLING_FULL" },
	{ 210, "POLLING_TIMEOUT" },
	{ 211, "BROKER_NOT_EXIST" },
	{ 212, "BROKER_DISPATCH_NOT_COMPLETE" },
	{ 213, "BROADCAST_CONSUMPTION" },
	{ 215, "FLOW_CONTROL" },
	{ 501, "NOT_LEADER_FOR_QUEUE" },
	{ 604, "ILLEGAL_OPERATION" },
	{ 1500, "GO_AWAY" },
	{ 2000, "CONTROLLER_FENCED_MASTER_EPOCH" },
	{ 2001, "CONTROLLER_FENCED_SYNC_STATE_SET_EPOCH" },
	{ 2002, "CONTROLLER_INVALID_MASTER" },
	{ 2003, "CONTROLLER_INVALID_REPLICAS" },
	{ 2004, "CONTROLLER_MASTER_NOT_AVAILABLE" },
	{ 2005, "CONTROLLER_INVALID_REQUEST" },
	{ 2006, "CONTROLLER_BROKER_NOT_ALIVE" },
	{ 2007, "CONTROLLER_NOT_LEADER" },
	{ 2008, "CONTROLLER_BROKER_METADATA_NOT_EXIST" },
	{ 2009, "CONTROLLER_INVALID_CLEAN_BROKER_METADATA" },
	{ 2010, "CONTROLLER_BROKER_NEED_TO_BE_REGISTERED" },
	{ 2011, "CONTROLLER_MASTER_STILL_EXIST" },
	{ 2012, "CONTROLLER_ELECT_MASTER_FAILED" },
	{ 2013, "CONTROLLER_ALTER_SYNC_STATE_SET_FAILED" },
	{ 2014, "CONTROLLER_BROKER_ID_INVALID" },
	{ 2015, "CONTROLLER_JRAFT_INTERNAL_ERROR" },
	{ 2016, "CONTROLLER_BROKER_LIVE_INFO_NOT_EXISTS" },
	{ 3001, "USER_NOT_EXIST" },
	{ 3002, "POLICY_NOT_EXIST" },
};

enum { PULL_NOT_FOUND = 19, NO_MESSAGE = 208, POLLING_TIMEOUT = 210 };

const struct rocketmq_code *rocketmq_request(int32_t code)
{
	size_t low = 0, high = sizeof(requests) / sizeof(requests[0]);

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (requests[middle].code == code)
			return &requests[middle];
		if (requests[middle].code < code)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const char *rocketmq_response(int32_t code)
{
	size_t low = 0, high = sizeof(responses) / sizeof(responses[0]);

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (responses[middle].code == code)
			return responses[middle].name;
		if (responses[middle].code < code)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool rocketmq_is_answer(int32_t code)
{
	return code == 0 || (code >= PULL_NOT_FOUND && code <= ROCKETMQ_QUERY_NOT_FOUND) || code == NO_MESSAGE || code == POLLING_TIMEOUT;
}
